//! What a new leader does with the fabric providers of its configuration (contract 6.8).

use crate::command::Change;
use crate::error::ProviderChangeRefused;
use crate::state::MemberState;
use crate::system::System;

/// The changes that make the system use these providers, the primary one first.
///
/// The first leader of all sets them. A later difference means that the administrator changed the provider on
/// all hosts: group map updates are held back until every member has joined with the new one.
///
/// # Errors
/// When the primary provider would change while members are joined.
pub fn adopt(system: &System, wanted: &[String]) -> Result<Vec<Change>, ProviderChangeRefused> {
    let set = Change::SetFabricProviders { providers: wanted.to_vec() };
    match &system.management().fabric_providers {
        None => Ok(vec![set]),
        Some(known) if known == wanted => Ok(Vec::new()),
        Some(known) => match system.count_in_state(MemberState::Joined) {
            0 => Ok(vec![Change::PauseGroupUpdate { paused: true }, set]),
            joined => Err(ProviderChangeRefused {
                known: known.join(","),
                wanted: wanted.join(","),
                joined,
            }),
        },
    }
}

/// Whether group map updates that were held back can go on: every member has joined again, or is kept out by
/// an administrator (contract 6.4).
#[must_use]
pub fn may_resume(system: &System) -> bool {
    let settled = system.count_in_state(MemberState::Joined)
        + system.count_in_state(MemberState::AdminExcluded);
    system.management().group_update_paused && settled == system.member_count()
}
