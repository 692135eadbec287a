//! What the rest of the server holds of the membership service.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::JoinReply;
use super::settled::Settled;
use super::writer::{Decided, Moment, Request};
use crate::address::ControlAddress;
use crate::command::Change;
use crate::decide::exclude::{self, ExcludeAction, ExcludeResult};
use crate::decide::join::JoinRequest;
use crate::decide::liveness::{self, Liveness};
use crate::decide::replicas::ReplicasRefused;
use crate::decide::resolve::{self, AdminExcludedRanks, QueryResult, Resolved, Selection};
use crate::decide::states::{self, MemberResult, OnFailure, ReportOutcome};
use crate::decide::{join, properties, record};
use crate::error::{JoinRefused, MembershipError};
use crate::event::EventNote;
use crate::group_map::GroupMap;
use crate::member::Member;
use crate::rank::{Incarnation, Rank, RankSet};
use crate::replicate::{Replicate, ReplicateError, RoleInfo, SystemView};
use crate::state::StateMask;
use crate::system::{EventPage, System};

/// Access to the membership service. Reads answer at once from the state applied here, on any replica;
/// changes go through the writer of the leader.
#[derive(Debug, Clone)]
pub struct MembershipHandle {
    requests: mpsc::Sender<Request>,
    replicate: Arc<dyn Replicate>,
    group_map: watch::Receiver<GroupMap>,
    by: Arc<str>,
    settled: Arc<Settled>,
}

impl MembershipHandle {
    pub(super) fn new(
        requests: mpsc::Sender<Request>,
        replicate: Arc<dyn Replicate>,
        group_map: watch::Receiver<GroupMap>,
    ) -> Self {
        let settled = Arc::new(Settled::begin());
        Self { requests, replicate, group_map, by: "".into(), settled }
    }

    /// A handle whose changes are recorded as somebody's, for instance `administrator at 10.0.0.9`. Joins are always
    /// the engines' own.
    #[must_use]
    pub fn on_behalf_of(&self, who: impl Into<Arc<str>>) -> Self {
        Self { by: who.into(), ..self.clone() }
    }

    /// Whether reads show at least what this replica held when it stopped. A replica that has just started does not
    /// know yet which of its entries were committed; after ten seconds without a leader it answers all the same.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.settled.is(&*self.replicate)
    }

    /// Lets an engine join. Safe to repeat: an engine that has joined joins again as the member it is.
    ///
    /// # Errors
    /// [`MembershipError::Join`] when it may not.
    pub async fn join(&self, request: JoinRequest) -> Result<JoinReply, MembershipError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Join { request: Box::new(request), reply }, answer).await
    }

    /// The member that a replacing engine would replace, to look for its rank in pools first.
    ///
    /// # Errors
    /// As the join itself.
    pub fn replaced_by(&self, request: &JoinRequest) -> Result<Rank, JoinRefused> {
        self.read(|system| join::replaced(system, request).map(|member| member.rank))
    }

    /// Records what hosts said about their ranks (contract 6.3).
    ///
    /// # Errors
    /// When a rank does not exist, or a report contradicts itself; then nothing is recorded.
    pub async fn update_states(
        &self,
        results: Vec<MemberResult>,
        on_failure: OnFailure,
    ) -> Result<Vec<(Rank, ReportOutcome)>, MembershipError> {
        let decide = move |system: &System, _: &Moment| {
            let plan = states::update(system, &results, on_failure)?;
            for (rank, outcome) in &plan.outcomes {
                if *outcome != ReportOutcome::Recorded {
                    tracing::debug!(%rank, ?outcome, "report about a rank changes nothing");
                }
            }
            Ok((plan.change.into_iter().collect(), plan.outcomes))
        };
        self.change(decide).await
    }

    /// Records that hosts found these ranks running when they were to start them: those that only did not answer are joined
    /// as they were ([`states::found_running`]).
    ///
    /// # Errors
    /// When it cannot be committed.
    pub async fn found_running(&self, ranks: RankSet) -> Result<(), MembershipError> {
        let decide = move |system: &System, _: &Moment| {
            Ok((states::found_running(system, &ranks).into_iter().collect(), ()))
        };
        self.change(decide).await
    }

    /// Records that other engines found a rank dead (contract 6.7). Beyond the limit of
    /// [`crate::decide::damping`] the member is not excluded yet.
    ///
    /// # Errors
    /// When the change cannot be committed; news that changes nothing is no error.
    pub async fn mark_rank_dead(
        &self,
        rank: Rank,
        incarnation: Option<Incarnation>,
    ) -> Result<Liveness, MembershipError> {
        let decide = move |system: &System, moment: &Moment| {
            liveness::rank_dead(system, rank, incarnation, moment.at, &moment.damping)
        };
        self.news(decide).await
    }

    /// Records that other engines found a rank alive again: a death that is held was none.
    ///
    /// # Errors
    /// When the change cannot be committed; news that changes nothing is no error.
    pub async fn mark_rank_alive(
        &self,
        rank: Rank,
        incarnation: Option<Incarnation>,
    ) -> Result<Liveness, MembershipError> {
        self.news(move |system, _| liveness::rank_alive(system, rank, incarnation)).await
    }

    /// Puts something into the event log. `false` when the same was recorded a short while ago.
    ///
    /// # Errors
    /// When it cannot be committed.
    pub async fn record_event(&self, note: EventNote) -> Result<bool, MembershipError> {
        let decide = move |system: &System, moment: &Moment| {
            let change = record::record(system, note, moment.at);
            let recorded = change.is_some();
            Ok((change.into_iter().collect(), recorded))
        };
        self.change(decide).await
    }

    /// Records that an engine's process ended (contract 6.7).
    ///
    /// # Errors
    /// When the change cannot be committed; news that changes nothing is no error.
    pub async fn engine_died(
        &self,
        rank: Rank,
        incarnation: Option<Incarnation>,
        info: String,
    ) -> Result<Liveness, MembershipError> {
        self.news(move |system, _| liveness::engine_died(system, rank, incarnation, &info)).await
    }

    /// Excludes members on behalf of an administrator, or clears that.
    ///
    /// # Errors
    /// When a chosen rank or host does not exist; fault 1415 when no usable engine would be left on any host with a
    /// replica of the management service. Nothing is excluded then.
    pub async fn exclude(
        &self,
        selection: Selection,
        action: ExcludeAction,
    ) -> Result<Vec<ExcludeResult>, MembershipError> {
        let replicas = Some(self.leader_info().replicas);
        self.exclude_where(selection, action, replicas).await
    }

    /// Excludes members even when no usable engine is left on any host with a replica of the management service.
    /// Engines hear of no change then until one of those engines is back.
    ///
    /// # Errors
    /// When a chosen rank or host does not exist.
    pub async fn exclude_even_last(
        &self,
        selection: Selection,
    ) -> Result<Vec<ExcludeResult>, MembershipError> {
        self.exclude_where(selection, ExcludeAction::Exclude, None).await
    }

    async fn exclude_where(
        &self,
        selection: Selection,
        action: ExcludeAction,
        replicas: Option<Vec<ControlAddress>>,
    ) -> Result<Vec<ExcludeResult>, MembershipError> {
        let decide = move |system: &System, _: &Moment| {
            let plan = exclude::exclude(system, &selection, action)?;
            if let Some(replicas) = replicas {
                exclude::keeps_a_usable_engine(system, &plan, &replicas)?;
            }
            Ok((plan.change.into_iter().collect(), plan.results))
        };
        self.change(decide).await
    }

    /// Takes members that are down out of the system for good.
    ///
    /// # Errors
    /// When a rank does not exist or is up; then none is removed.
    pub async fn remove(&self, ranks: RankSet) -> Result<(), MembershipError> {
        self.change(move |system, _| Ok((exclude::remove(system, &ranks)?, ()))).await
    }

    /// Sets attributes; an empty value deletes one.
    ///
    /// # Errors
    /// When a name is reserved; then none is set.
    pub async fn set_attributes(
        &self,
        values: BTreeMap<String, String>,
    ) -> Result<(), MembershipError> {
        let change = properties::set_attributes(&values)?;
        self.change(move |_, _| Ok((vec![change], ()))).await
    }

    /// The named attributes, or all.
    ///
    /// # Errors
    /// When one was never set.
    pub fn get_attributes(
        &self,
        keys: &[String],
    ) -> Result<BTreeMap<String, String>, MembershipError> {
        Ok(self.read(|system| properties::get_attributes(system, keys))?)
    }

    /// Sets system properties.
    ///
    /// # Errors
    /// When a name or value is not valid; then none is set.
    pub async fn set_properties(
        &self,
        values: BTreeMap<String, String>,
    ) -> Result<(), MembershipError> {
        let change = properties::set_properties(&values)?;
        self.change(move |_, _| Ok((vec![change], ()))).await
    }

    /// The named system properties, or all, with defaults for those that were never set.
    ///
    /// # Errors
    /// When there is no such property.
    pub fn get_properties(
        &self,
        keys: &[String],
    ) -> Result<BTreeMap<String, String>, MembershipError> {
        Ok(self.read(|system| properties::get_properties(system, keys))?)
    }

    /// The chosen members in these states. A system without members has nothing to say, and the client is told
    /// to ask another replica (contract 6.9).
    ///
    /// # Errors
    /// [`MembershipError::Unavailable`] when all members are asked for and there are none.
    pub fn query(
        &self,
        selection: &Selection,
        states: StateMask,
    ) -> Result<QueryResult, MembershipError> {
        self.read(|system| match (system.member_count(), selection) {
            (0, Selection::All) => Err(MembershipError::Unavailable),
            _ => Ok(resolve::query(system, selection, states)),
        })
    }

    /// All members in order of their ranks.
    #[must_use]
    pub fn members(&self) -> Vec<Arc<Member>> {
        self.read(|system| system.members().cloned().collect())
    }

    /// Changes where replicas are wanted, from where they are wanted now.
    ///
    /// # Errors
    /// What the decision refuses, or that this replica does not lead.
    pub async fn want_replicas(
        &self,
        decide: impl FnOnce(&[ControlAddress]) -> Result<Vec<ControlAddress>, ReplicasRefused>
        + Send
        + 'static,
    ) -> Result<(), MembershipError> {
        self.change(move |system, _| {
            let addresses = decide(system.wanted_replicas())?;
            Ok((vec![Change::SetWantedReplicas { addresses }], ()))
        })
        .await
    }

    /// The members that engines and clients are told about.
    ///
    /// # Errors
    /// [`MembershipError::EmptyGroupMap`] when there are none.
    pub fn group_members(&self) -> Result<Vec<Arc<Member>>, MembershipError> {
        let in_group = |member: &&Arc<Member>| member.is_in_group();
        let members: Vec<_> =
            self.read(|system| system.members().filter(in_group).cloned().collect());
        if members.is_empty() { Err(MembershipError::EmptyGroupMap) } else { Ok(members) }
    }

    /// The ranks that a stop or start means (contract 6.9).
    ///
    /// # Errors
    /// Fault 622 about ranks that an administrator keeps out.
    pub fn usable(
        &self,
        selection: &Selection,
        excluded: AdminExcludedRanks,
    ) -> Result<Resolved, MembershipError> {
        Ok(self.read(|system| resolve::usable(system, selection, excluded))?)
    }

    /// The ranks of a selection of which nothing may be absent.
    ///
    /// # Errors
    /// When a chosen rank or host does not exist.
    pub fn existing(&self, selection: &Selection) -> Result<RankSet, MembershipError> {
        Ok(self.read(|system| resolve::existing(system, selection))?)
    }

    /// The events after a number, at most `limit` of them; after 0 are all that are kept. On any replica.
    #[must_use]
    pub fn events(&self, after: u64, limit: usize) -> EventPage {
        self.read(|system| system.events_after(after, limit))
    }

    /// Wakes after every change of the state applied here; carries its version. On any replica.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.replicate.view().changes()
    }

    /// Version of the state applied here.
    #[must_use]
    pub fn data_version(&self) -> u64 {
        self.read(System::data_version)
    }

    /// Who leads, as far as is known here.
    #[must_use]
    pub fn leader_info(&self) -> RoleInfo {
        self.replicate.role().borrow().clone()
    }

    /// Every change of leadership.
    #[must_use]
    pub fn watch_role(&self) -> watch::Receiver<RoleInfo> {
        self.replicate.role()
    }

    /// Makes sure that this replica leads, before it answers as leader.
    ///
    /// # Errors
    /// When it does not, or cannot tell in time.
    pub async fn confirm_leadership(&self, within: Duration) -> Result<(), MembershipError> {
        match self.replicate.confirm_leadership(within).await {
            // Nothing was changed, so nothing is unknown: a leader whom no majority follows is none.
            Err(ReplicateError::OutcomeUnknown) => {
                let RoleInfo { replicas, me, .. } = self.leader_info();
                let replicas = replicas.into_iter().filter(|replica| *replica != me).collect();
                Err(MembershipError::NotLeader { hint: None, replicas })
            }
            confirmed => Ok(confirmed?),
        }
    }

    /// The group map that engines are to have. Published by the leader only, at most once per batch; each one
    /// has a higher version than the one before. Version 0 and empty until there is something to tell.
    #[must_use]
    pub fn group_map(&self) -> watch::Receiver<GroupMap> {
        self.group_map.clone()
    }

    /// Read access to the whole state applied here.
    #[must_use]
    pub fn view(&self) -> SystemView {
        self.replicate.view()
    }

    fn read<T>(&self, look: impl FnOnce(&System) -> T) -> T {
        self.replicate.view().read(look)
    }

    async fn news(
        &self,
        decide: impl FnOnce(&System, &Moment) -> Liveness + Send + 'static,
    ) -> Result<Liveness, MembershipError> {
        let decide = move |system: &System, moment: &Moment| {
            let liveness = decide(system, moment);
            Ok((liveness.change().cloned().into_iter().collect(), liveness))
        };
        self.change(decide).await
    }

    /// Has the writer decide and commit something, and hands back what the decision says about it.
    async fn change<T: Send + 'static>(
        &self,
        decide: impl FnOnce(&System, &Moment) -> Result<(Vec<Change>, T), MembershipError>
        + Send
        + 'static,
    ) -> Result<T, MembershipError> {
        let (reply, answer) = oneshot::channel();
        let by = Arc::clone(&self.by);
        let decide =
            Box::new(move |system: &System, moment: &Moment| match decide(system, moment) {
                Ok((changes, value)) => {
                    let answer = |done: Result<(), MembershipError>| {
                        let _ = reply.send(done.map(|()| value));
                    };
                    Decided { changes, by, answer: Box::new(answer) }
                }
                Err(error) => {
                    let answer = |_| {
                        let _ = reply.send(Err(error));
                    };
                    Decided { changes: Vec::new(), by, answer: Box::new(answer) }
                }
            });
        self.ask(Request::Change { decide }, answer).await
    }

    async fn ask<T>(
        &self,
        request: Request,
        answer: oneshot::Receiver<Result<T, MembershipError>>,
    ) -> Result<T, MembershipError> {
        self.replicate.role().borrow().check_leader()?;
        self.requests.send(request).await.map_err(|_| MembershipError::Unavailable)?;
        answer.await.unwrap_or(Err(MembershipError::Unavailable))
    }
}
