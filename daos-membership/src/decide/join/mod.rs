//! May this engine join, and as which rank (contract 6.4, R162)?
//!
//! A batch of requests is decided against one state of the system. A request that meets the same engine, rank
//! or URI as an earlier one of its batch is put off to the next batch, so that every decision stands on facts.

mod batch;

use std::sync::Arc;

use uuid::Uuid;

use self::batch::Batch;
use crate::address::ControlAddress;
use crate::clock::Timestamp;
use crate::command::Change;
use crate::error::JoinRefused;
use crate::fault_domain::FaultDomain;
use crate::member::Member;
use crate::rank::{Incarnation, Rank};
use crate::system::System;

/// An engine asks to join, with all that is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRequest {
    /// The engine, from its superblock.
    pub uuid: Uuid,
    /// The rank it wants: the one in its superblock, `None` if it has none yet.
    pub rank: Option<Rank>,
    /// Which start of it this is.
    pub incarnation: Incarnation,
    /// Where its host's control server is reached.
    pub address: ControlAddress,
    /// Where it is reached over the fabric.
    pub fabric_uri: String,
    /// The same for further providers.
    pub secondary_fabric_uris: Vec<String>,
    /// Number of fabric contexts at the first URI.
    pub fabric_contexts: u32,
    /// Number of fabric contexts at each further URI.
    pub secondary_fabric_contexts: Vec<u32>,
    /// The enclosure it fails with.
    pub fault_domain: FaultDomain,
    /// Whether it runs in checker mode.
    pub check_mode: bool,
    /// Whether it is engine 0 of the first replica, for which rank 0 is kept.
    pub bootstrap: bool,
    /// Whether it joins for itself or in place of a lost engine.
    pub purpose: JoinPurpose,
    /// Whether the control server at the address that the system knows still answers for this uuid. `None`
    /// when nobody looked; only `Some(false)` lets an engine move to another host.
    pub old_address_answers: Option<bool>,
}

/// What an engine joins for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinPurpose {
    /// For itself.
    Join,
    /// In place of the member with the same address, fabric and fault domain, whose rank it takes over.
    Replace {
        /// Whether a pool still counts on that member's rank; see [`replaced`].
        enabled_in_pool: bool,
    },
}

/// How an engine joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinOutcome {
    /// As a new member.
    Admitted,
    /// As the member it was.
    Rejoined,
    /// In place of this engine.
    Replaced(Uuid),
}

/// An accepted join: its changes are to be committed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    /// The engine's rank.
    pub rank: Rank,
    /// How it joins.
    pub outcome: JoinOutcome,
    /// What has to be applied.
    pub changes: Vec<Change>,
}

/// The decision on one request of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It joins.
    Accepted(Acceptance),
    /// It may not.
    Refused(JoinRefused),
    /// No fabric provider is known yet, as the leader has just taken over.
    NotYet,
    /// An earlier request of the batch has to be committed first.
    Later,
}

/// Decides the requests of one batch, in order. The accepted ones' changes form one command.
#[must_use]
pub fn decide(system: &System, requests: &[&JoinRequest], at: Timestamp) -> Vec<Verdict> {
    let mut batch = Batch::new(system, at);
    requests.iter().map(|request| batch.decide(request)).collect()
}

/// The member that this engine would replace: same address, URIs, contexts and fault domain.
///
/// # Errors
/// Fault 403 when there is none; a refusal when a rank is asked for as well, or when that member is this engine.
pub fn replaced<'a>(
    system: &'a System,
    request: &JoinRequest,
) -> Result<&'a Arc<Member>, JoinRefused> {
    if let Some(asked) = request.rank {
        return Err(JoinRefused::ReplaceWithRank { uuid: request.uuid, asked });
    }
    let mut there = system.members_at(request.address);
    let found = there.find(|member| {
        member.fabric_uri == request.fabric_uri
            && member.secondary_fabric_uris == request.secondary_fabric_uris
            && member.fabric_contexts == request.fabric_contexts
            && member.secondary_fabric_contexts == request.secondary_fabric_contexts
            && member.fault_domain == request.fault_domain
    });
    match found {
        Some(member) if member.uuid == request.uuid => {
            Err(JoinRefused::AlreadyMember { uuid: request.uuid })
        }
        Some(member) => Ok(member),
        None => Err(JoinRefused::NothingToReplace {
            address: request.address,
            uri: request.fabric_uri.clone(),
            domain: request.fault_domain.to_string(),
        }),
    }
}
