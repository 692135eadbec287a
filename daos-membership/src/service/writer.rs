//! The task that owns every change: it decides, proposes, publishes and answers.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::{BATCH_LENGTH, JoinReply, JoinState, MembershipOptions};
use crate::clock::{Clock, Timestamp};
use crate::command::{Applied, Change, Command};
use crate::decide::damping::{self, Damping};
use crate::decide::join::{self, Acceptance, JoinRequest, Verdict};
use crate::decide::providers;
use crate::error::{ChangeRefused, MembershipError, ProviderChangeRefused};
use crate::event::{EventKind, EventNote};
use crate::group_map::GroupMap;
use crate::rank::RankSet;
use crate::replicate::{Replicate, ReplicateError, RoleInfo, SystemView};
use crate::system::System;

/// What the writer is asked to do.
pub(super) enum Request {
    /// An engine wants to join. Joins that wait next to each other are committed together.
    Join {
        /// Who.
        request: Box<JoinRequest>,
        /// Where the answer goes. When nobody waits for it any more, nothing is done.
        reply: oneshot::Sender<Result<JoinReply, MembershipError>>,
    },
    /// Something else is to change. Committed by itself.
    Change {
        /// Decides on the state at the moment of its turn.
        decide: Decide,
    },
}

/// What a decision may know beside the state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// The time the decision is recorded with.
    pub(super) at: Timestamp,
    /// How many deaths are believed at once.
    pub(super) damping: Damping,
}

/// Decides on the state at one moment.
pub(super) type Decide = Box<dyn FnOnce(&System, &Moment) -> Decided + Send>;

/// A decision, and whom to tell what became of it.
pub(super) struct Decided {
    /// What has to be applied; nothing when the decision is that nothing changes.
    pub(super) changes: Vec<Change>,
    /// On whose behalf.
    pub(super) by: Arc<str>,
    /// Called once, with the outcome of the commit.
    pub(super) answer: Box<dyn FnOnce(Result<(), MembershipError>) + Send>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Join { request, .. } => f.debug_tuple("Join").field(request).finish(),
            Self::Change { .. } => f.write_str("Change"),
        }
    }
}

type JoinAnswer = oneshot::Sender<Result<JoinReply, MembershipError>>;

pub(super) struct Writer {
    queue: mpsc::Receiver<Request>,
    replicate: Arc<dyn Replicate>,
    role: watch::Receiver<RoleInfo>,
    view: SystemView,
    clock: Arc<dyn Clock>,
    options: MembershipOptions,
    publish: watch::Sender<GroupMap>,
    /// The group map as it will be published next.
    map: GroupMap,
    /// The term in which this replica has taken over.
    stepped_up: Option<u64>,
    /// Why engines cannot join with the configured provider.
    provider_refused: Option<ProviderChangeRefused>,
    /// When held deaths are looked at again.
    next_look: Option<Instant>,
}

/// Who does what nobody asked for.
const SERVICE: &str = "management service";

/// Held deaths are not looked at more often than this, whatever the clock says.
const SOONEST_LOOK: Duration = Duration::from_millis(100);

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

impl Writer {
    pub(super) fn new(
        queue: mpsc::Receiver<Request>,
        replicate: Arc<dyn Replicate>,
        clock: Arc<dyn Clock>,
        options: MembershipOptions,
        publish: watch::Sender<GroupMap>,
    ) -> Self {
        Self {
            queue,
            role: replicate.role(),
            view: replicate.view(),
            replicate,
            clock,
            options,
            publish,
            map: GroupMap::default(),
            stepped_up: None,
            provider_refused: None,
            next_look: None,
        }
    }

    /// Works until it is told to stop or nobody holds a handle any more.
    pub(super) async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        let mut arrived = Vec::new();
        self.step_up_if_new().await;
        loop {
            tokio::select! {
                biased;
                _ = &mut stop => break,
                changed = self.role.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    self.step_up_if_new().await;
                }
                count = self.queue.recv_many(&mut arrived, BATCH_LENGTH) => {
                    if count == 0 {
                        break;
                    }
                    self.serve(arrived.drain(..).collect()).await;
                }
                () = until(self.next_look) => self.look_again().await,
            }
        }
        // Requests that still wait are dropped with the queue; their callers read that as unavailable.
        self.queue.close();
        self.replicate.shutdown().await;
    }

    /// Serves requests in the order of their arrival.
    async fn serve(&mut self, mut waiting: VecDeque<Request>) {
        // In case that taking over failed when the term began.
        self.step_up_if_new().await;
        while let Some(request) = waiting.pop_front() {
            match request {
                Request::Join { request, reply } => {
                    let mut joins = vec![(request, reply)];
                    while let Some(Request::Join { .. }) = waiting.front() {
                        if let Some(Request::Join { request, reply }) = waiting.pop_front() {
                            joins.push((request, reply));
                        }
                    }
                    for (request, reply) in self.join(joins).await.into_iter().rev() {
                        waiting.push_front(Request::Join { request, reply });
                    }
                }
                Request::Change { decide } => {
                    let moment = self.moment();
                    let decided = self.view.read(|system| decide(system, &moment));
                    let done = self.commit_changes(moment.at, decided.changes, &decided.by).await;
                    (decided.answer)(done);
                }
            }
        }
    }

    async fn commit_changes(
        &mut self,
        at: Timestamp,
        changes: Vec<Change>,
        by: &str,
    ) -> Result<(), MembershipError> {
        if changes.is_empty() {
            return Ok(());
        }
        self.role.borrow().check_leader()?;
        let applied = self.propose(at, changes, by).await?;
        if self.take_over(&applied) {
            self.publish();
        }
        match applied.refusal() {
            Some(refusal) => Err(MembershipError::Overtaken(refusal.clone())),
            None => Ok(()),
        }
    }

    /// Commits one batch of joins and answers them. Hands back those that have to wait for it.
    async fn join(
        &mut self,
        mut joins: Vec<(Box<JoinRequest>, JoinAnswer)>,
    ) -> Vec<(Box<JoinRequest>, JoinAnswer)> {
        joins.retain(|(_, reply)| !reply.is_closed());
        if let Err(error) = self.ready_for_joins().await {
            refuse_all(joins, &error);
            return Vec::new();
        }
        let requests: Vec<&JoinRequest> = joins.iter().map(|(request, _)| &**request).collect();
        let at = self.clock.now();
        let verdicts = self.view.read(|system| join::decide(system, &requests, at));
        let (mut accepted, mut later, mut changes) = (Vec::new(), Vec::new(), Vec::new());
        for ((request, reply), verdict) in joins.into_iter().zip(verdicts) {
            match verdict {
                Verdict::Accepted(mut acceptance) => {
                    let first = changes.len();
                    changes.append(&mut acceptance.changes);
                    accepted.push((acceptance, first..changes.len(), reply));
                }
                Verdict::Refused(refused) => answer(reply, Err(refused.into())),
                Verdict::NotYet => answer(reply, Err(MembershipError::SteppingUp)),
                Verdict::Later => later.push((request, reply)),
            }
        }
        if accepted.is_empty() {
            return later;
        }
        // Engines get the new members under a version of its own, in the same log entry.
        changes.push(Change::BumpMapVersion);
        match self.propose(at, changes, "engine").await {
            Err(error) => {
                for (_, _, reply) in accepted {
                    answer(reply, Err(error.clone().into()));
                }
            }
            Ok(applied) => {
                self.take_over(&applied);
                self.publish();
                self.resume_if_settled().await;
                for (acceptance, changes, reply) in accepted {
                    let outcomes = applied.outcomes.get(changes).unwrap_or_default();
                    let refusal = outcomes.iter().find_map(|outcome| outcome.as_ref().err());
                    answer(reply, self.reply(&acceptance, refusal, &applied));
                }
            }
        }
        later
    }

    fn reply(
        &self,
        acceptance: &Acceptance,
        refusal: Option<&ChangeRefused>,
        applied: &Applied,
    ) -> Result<JoinReply, MembershipError> {
        if let Some(refusal) = refusal {
            return Err(MembershipError::Overtaken(refusal.clone()));
        }
        let checker = self.view.read(|system| system.management().checker_enabled);
        Ok(JoinReply {
            rank: acceptance.rank,
            state: if checker { JoinState::Check } else { JoinState::In },
            map_version: applied.map_version.saturating_sub(1),
            outcome: acceptance.outcome,
        })
    }

    /// Whether joins can be decided: this replica leads, and the system uses the configured provider.
    async fn ready_for_joins(&mut self) -> Result<(), MembershipError> {
        self.role.borrow().check_leader()?;
        if self.provider_refused.is_some() {
            // The members that stood against it may have been stopped meanwhile.
            self.adopt_providers(Vec::new()).await?;
        }
        match &self.provider_refused {
            Some(refused) => Err(refused.clone().into()),
            None => Ok(()),
        }
    }

    /// What a replica does when it starts to lead (contract 6.8): it makes the system use the configured
    /// providers, and engines get the group map under a new version.
    async fn step_up_if_new(&mut self) {
        let (leads, term) = {
            let role = self.role.borrow_and_update();
            (role.check_leader().is_ok(), role.term)
        };
        if !leads || self.stepped_up == Some(term) {
            return;
        }
        self.map = self.view.read(GroupMap::of);
        let mut changes = vec![Change::RecordEvent { event: self.takes_over(term) }];
        if !self.map.is_empty() {
            changes.push(Change::BumpMapVersion);
        }
        match self.adopt_providers(changes).await {
            Ok(()) => self.stepped_up = Some(term),
            Err(error) => tracing::warn!(%error, "cannot take over as leader"),
        }
    }

    fn takes_over(&self, term: u64) -> EventNote {
        let me = self.role.borrow().me;
        let what = format!("leads the management service in term {term}");
        EventNote::new(EventKind::Leader, RankSet::new(), what).on(me)
    }

    async fn adopt_providers(&mut self, mut changes: Vec<Change>) -> Result<(), ReplicateError> {
        let wanted = &self.options.fabric_providers;
        match self.view.read(|system| providers::adopt(system, wanted)) {
            Ok(adopt) => {
                self.provider_refused = None;
                changes.splice(0..0, adopt);
            }
            Err(refused) => {
                tracing::error!("{refused}");
                self.provider_refused = Some(refused);
            }
        }
        if !changes.is_empty() {
            let applied = self.propose(self.clock.now(), changes, SERVICE).await?;
            self.take_over(&applied);
            self.publish();
        }
        Ok(())
    }

    async fn resume_if_settled(&mut self) {
        if !self.view.read(providers::may_resume) {
            return;
        }
        let resume = vec![Change::PauseGroupUpdate { paused: false }, Change::BumpMapVersion];
        match self.propose(self.clock.now(), resume, SERVICE).await {
            Ok(applied) => {
                self.take_over(&applied);
                self.publish();
            }
            Err(error) => tracing::warn!(%error, "group map updates stay paused"),
        }
    }

    async fn propose(
        &mut self,
        at: Timestamp,
        changes: Vec<Change>,
        by: &str,
    ) -> Result<Applied, ReplicateError> {
        let applied = self.replicate.propose(Command::new(at, changes).by(by)).await;
        self.plan_look();
        applied
    }

    fn moment(&self) -> Moment {
        Moment { at: self.clock.now(), damping: self.options.damping }
    }

    /// Sets when held deaths are looked at again; only a leader looks.
    fn plan_look(&mut self) {
        let Moment { at, damping } = self.moment();
        let leads = self.role.borrow().check_leader().is_ok();
        let wait = self.view.read(|system| damping::next_look(system, at, &damping));
        self.next_look = wait.filter(|_| leads).map(|wait| Instant::now() + wait.max(SOONEST_LOOK));
    }

    /// Excludes members whose deaths were held long enough.
    async fn look_again(&mut self) {
        let Moment { at, damping } = self.moment();
        let changes = self.view.read(|system| damping::look_again(system, at, &damping));
        if let Err(error) = self.commit_changes(at, changes, SERVICE).await {
            tracing::warn!(%error, "members that were found dead are not excluded yet");
        }
        self.plan_look();
    }

    /// Brings the group map up to date. Says whether engines have to be told.
    fn take_over(&mut self, applied: &Applied) -> bool {
        let map = &mut self.map;
        map.set_version(applied.map_version);
        self.view.read(|system| {
            let mut changed = false;
            for rank in applied.ranks.iter() {
                changed |= map.refresh(rank, system.member(rank).map(Arc::as_ref));
            }
            changed
        })
    }

    /// Publishes the group map, unless updates are held back or nothing newer is there to publish.
    fn publish(&self) {
        if self.view.read(|system| system.management().group_update_paused) {
            return;
        }
        self.publish.send_if_modified(|published| {
            let newer = self.map.version() > published.version();
            if newer {
                *published = self.map.clone();
            }
            newer
        });
    }
}

fn answer<T>(
    reply: oneshot::Sender<Result<T, MembershipError>>,
    result: Result<T, MembershipError>,
) {
    // Whoever has stopped waiting will ask again.
    let _ = reply.send(result);
}

fn refuse_all(joins: Vec<(Box<JoinRequest>, JoinAnswer)>, error: &MembershipError) {
    for (_, reply) in joins {
        answer(reply, Err(error.clone()));
    }
}
