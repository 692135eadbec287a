//! The operations: stop, start and erase a system (contract 6.9, R166).
//!
//! An operation that was begun runs to its end and is recorded whether or not its client still waits.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use daos_membership::{
    AdminExcludedRanks, MemberState, MembershipHandle, OnFailure, RankSet, Resolved, Selection,
};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::fanout::{Order, RankReport, fan_out};
use super::peer::{Limits, Peers};
use crate::drpc::{RasEvent, RasId, RasSeverity, RasType};
use crate::engine::RankAction;
use crate::management::ManagementKeeper;
use crate::wire::CallError;

/// A leader answers as one only after it made sure of it, within this time.
const CONFIRM: Duration = Duration::from_secs(5);

/// What a stop is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopRequest {
    /// Which members.
    pub selection: Selection,
    /// Kill at once instead of asking engines to get ready and to end.
    pub force: bool,
    /// What to do about members an administrator keeps out.
    pub excluded: AdminExcludedRanks,
}

/// What a start is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartRequest {
    /// Which members.
    pub selection: Selection,
    /// Start as checkers.
    pub check_mode: bool,
    /// What to do about members an administrator keeps out.
    pub excluded: AdminExcludedRanks,
}

/// What came of an operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OperationReport {
    /// One report per rank, in order.
    pub results: Vec<RankReport>,
    /// Ranks that were named and do not exist.
    pub absent_ranks: RankSet,
    /// Hosts that were named and have no members.
    pub absent_hosts: Vec<String>,
}

/// Runs operations on the ranks of a system; cheap to clone.
#[derive(Debug, Clone)]
pub struct SystemOps {
    peers: Arc<dyn Peers>,
    limits: Limits,
    running: TaskTracker,
    ending: CancellationToken,
}

impl SystemOps {
    /// Operations over these peers.
    #[must_use]
    pub fn new(peers: Arc<dyn Peers>, limits: Limits) -> Self {
        Self { peers, limits, running: TaskTracker::new(), ending: CancellationToken::new() }
    }

    /// Stops members. Without `force` every engine is told first; when that fails for one, none is stopped and the
    /// reports of that step are returned (W37).
    ///
    /// # Errors
    /// When this replica does not lead, or the selection cannot be used (622, 1304).
    pub async fn stop(
        &self,
        membership: MembershipHandle,
        request: StopRequest,
    ) -> Result<OperationReport, CallError> {
        let resolved = self.chosen(&membership, &request.selection, request.excluded).await?;
        let work = Work { ops: self.clone(), membership, resolved };
        self.to_its_end(async move {
            if !request.force {
                let told = work.order(RankAction::PrepareShutdown, false, false).await;
                if told.iter().any(|report| report.errored) {
                    return work.finish(told, RasId::SYSTEM_STOP_FAILED);
                }
            }
            let stopped = work.order(RankAction::Stop, request.force, false).await;
            work.finish(stopped, RasId::SYSTEM_STOP_FAILED)
        })
        .await
    }

    /// Starts members that do not run.
    ///
    /// # Errors
    /// As [`SystemOps::stop`].
    pub async fn start(
        &self,
        membership: MembershipHandle,
        request: StartRequest,
    ) -> Result<OperationReport, CallError> {
        let resolved = self.chosen(&membership, &request.selection, request.excluded).await?;
        let work = Work { ops: self.clone(), membership, resolved };
        self.to_its_end(async move {
            let started = work.order(RankAction::Start, false, request.check_mode).await;
            if !request.check_mode {
                work.bring_back(&started).await;
            }
            work.finish(started, RasId::SYSTEM_START_FAILED)
        })
        .await
    }

    /// Removes the superblocks of all members and, when every host did that, the system itself. Running ranks are
    /// refused (612) and leave the system as it is.
    ///
    /// # Errors
    /// When this replica does not lead, or the database cannot be removed.
    pub async fn erase(
        &self,
        membership: MembershipHandle,
        keeper: ManagementKeeper,
    ) -> Result<OperationReport, CallError> {
        membership.confirm_leadership(CONFIRM).await?;
        let ranks = membership.members().iter().map(|member| member.rank).collect();
        let resolved = Resolved { ranks, ..Resolved::default() };
        let work = Work { ops: self.clone(), membership, resolved };
        self.to_its_end(async move {
            let results = work.order(RankAction::ResetFormat, false, false).await;
            if !results.iter().any(|report| report.errored) {
                info!("every rank gave up its superblock, erasing the system");
                keeper.erase_everywhere().await?;
            }
            Ok(OperationReport { results, ..OperationReport::default() })
        })
        .await?
    }

    pub(super) fn peers(&self) -> &Arc<dyn Peers> {
        &self.peers
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Does something that nobody waits for but the end of the server.
    pub(super) fn in_background(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.running.spawn(work);
    }

    /// Whoever follows the system's events stops, so that the control port can close.
    pub fn end_followers(&self) {
        self.ending.cancel();
    }

    /// Cancelled when followers of the system's events are to stop.
    #[must_use]
    pub fn ending(&self) -> CancellationToken {
        self.ending.clone()
    }

    /// Waits until no operation runs any more. The caller sets the bound.
    pub async fn drain(&self) {
        self.running.close();
        self.running.wait().await;
    }

    async fn chosen(
        &self,
        membership: &MembershipHandle,
        selection: &Selection,
        excluded: AdminExcludedRanks,
    ) -> Result<Resolved, CallError> {
        membership.confirm_leadership(CONFIRM).await?;
        Ok(membership.usable(selection, excluded)?)
    }

    async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, CallError> {
        let broken = |error| CallError::text(format!("the operation broke off: {error}"));
        self.running.spawn(work).await.map_err(broken)
    }
}

/// One operation under way.
struct Work {
    ops: SystemOps,
    membership: MembershipHandle,
    resolved: Resolved,
}

impl Work {
    /// Gives one order to every chosen member and records what came of it.
    async fn order(&self, action: RankAction, force: bool, check_mode: bool) -> Vec<RankReport> {
        let members: Vec<_> = self
            .membership
            .members()
            .into_iter()
            .filter(|member| self.resolved.ranks.contains(member.rank))
            .collect();
        let limit = self.ops.limits.of(action);
        let order = Order { action, force, check_mode, limit };
        let reports = fan_out(&self.ops.peers, &members, order).await;
        let on_failure = match action {
            RankAction::ResetFormat => OnFailure::Keep,
            _ => OnFailure::Record,
        };
        let results = reports.iter().map(RankReport::recorded).collect();
        if let Err(refused) = self.membership.update_states(results, on_failure).await {
            warn!("what came of '{}' is not recorded: {refused}", action.text());
        }
        reports
    }

    /// A rank that its host could not be asked about for a while, and that ran on all the time, cannot join again: it never
    /// ended. That it serves is taken from the host.
    async fn bring_back(&self, started: &[RankReport]) {
        let serves = |report: &&RankReport| !report.errored && report.state == MemberState::Ready;
        let ranks: RankSet = started.iter().filter(serves).map(|report| report.rank).collect();
        if let Err(refused) = self.membership.found_running(ranks).await {
            warn!("that ranks run is not recorded: {refused}");
        }
    }

    fn finish(&self, results: Vec<RankReport>, failure: RasId) -> OperationReport {
        let failed: RankSet =
            results.iter().filter(|report| report.errored).map(|report| report.rank).collect();
        if !failed.is_empty() {
            let event = RasEvent {
                id: failure,
                kind: RasType::Info,
                severity: RasSeverity::Error,
                message: format!("failed on ranks {failed}"),
                ..RasEvent::default()
            };
            error!("&&& RAS {event}");
        }
        OperationReport {
            results,
            absent_ranks: self.resolved.absent_ranks.clone(),
            absent_hosts: self.resolved.absent_hosts.clone(),
        }
    }
}
