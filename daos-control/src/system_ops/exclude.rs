//! Keeping ranks out and letting them in again (contract 6.9), and what that means for engines that run.
//!
//! An engine whose exclusion was cleared is out of the group until it joins, and joins only when it starts. So its host
//! is asked to start it anew; the administrator does not have to.

use std::sync::Arc;

use daos_membership::{
    EventKind, EventNote, ExcludeAction, ExcludeResult, Member, MembershipHandle, RankSet,
    Selection,
};
use tracing::{info, warn};

use super::fanout::{Order, RankReport, fan_out};
use super::run::SystemOps;
use crate::engine::RankAction;
use crate::wire::CallError;

/// Whether the last usable engine on the hosts of the management service may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastUsable {
    /// No: fault 1415.
    Keep,
    /// Yes: the administrator said so by name.
    MayGo,
}

impl SystemOps {
    /// Excludes ranks, or clears that and has their engines join again. One report per chosen rank.
    ///
    /// # Errors
    /// When this replica does not lead, a rank or host does not exist, or the last usable engine would go.
    pub async fn exclude(
        &self,
        membership: MembershipHandle,
        selection: Selection,
        action: ExcludeAction,
        last: LastUsable,
    ) -> Result<Vec<RankReport>, CallError> {
        let results = match (action, last) {
            (ExcludeAction::Exclude, LastUsable::MayGo) => {
                membership.exclude_even_last(selection).await?
            }
            _ => membership.exclude(selection, action).await?,
        };
        let reports = reports(&membership, &results, action);
        let cleared: RankSet =
            results.iter().filter(|each| each.changed).map(|each| each.rank).collect();
        if action == ExcludeAction::Clear && !cleared.is_empty() {
            let ops = self.clone();
            self.in_background(async move { ops.rejoin(&membership, &cleared).await });
        }
        Ok(reports)
    }

    /// Asks the hosts of these ranks to let them join again. What cannot be done is an event.
    async fn rejoin(&self, membership: &MembershipHandle, ranks: &RankSet) {
        let members: Vec<Arc<Member>> = membership
            .view()
            .read(|system| ranks.iter().filter_map(|rank| system.member(rank).cloned()).collect());
        let action = RankAction::Rejoin;
        let order =
            Order { action, force: false, check_mode: false, limit: self.limits().of(action) };
        for report in fan_out(self.peers(), &members, order).await {
            let RankReport { rank, message, .. } = report;
            if !report.errored {
                info!("rank {rank} was asked to join again {message}");
                continue;
            }
            warn!("rank {rank} does not join again by itself: {message}");
            let why =
                format!("does not join again by itself, start it with dmg system start: {message}");
            let note = EventNote::new(EventKind::Engine, RankSet::from_iter([rank]), why);
            if let Err(lost) = membership.record_event(note).await {
                warn!("which is not recorded: {lost}");
            }
        }
    }
}

fn reports(
    membership: &MembershipHandle,
    results: &[ExcludeResult],
    action: ExcludeAction,
) -> Vec<RankReport> {
    membership.view().read(|system| {
        let address = |rank| system.member(rank).map(|member| member.address.to_string());
        let report = |result: &ExcludeResult| RankReport {
            rank: result.rank,
            action: action.text(),
            errored: false,
            message: String::new(),
            state: result.state,
            address: address(result.rank).unwrap_or_default(),
        };
        results.iter().map(report).collect()
    })
}
