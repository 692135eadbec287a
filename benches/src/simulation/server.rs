//! One life of a host's server: the real engine tasks, membership service and operations, assembled over the
//! simulated disk, engines and network. Made by `world` when a host starts; gone when its runtime is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use daos_control::drpc::RasId;
use daos_control::engine::{EngineParts, EngineState, Engines, Event, RankAction, StorageGate};
use daos_control::join::{Host, JoinAnswer};
use daos_control::management::push_group_map;
use daos_control::supervisor::{EngineEventKind, RestartPolicy, Supervisor};
use daos_control::system_ops::{
    AdmitJoin, JoinMessage, LastUsable, Limits, RankReply, RanksCall, StartRequest, StopRequest,
    SystemOps, hear,
};
use daos_control::wire::{CallError, NotReady};
use daos_membership::decide::replicas::{self, Even};
use daos_membership::{AdminExcludedRanks, ControlAddress, MembershipHandle, Selection};
use tokio_util::sync::CancellationToken;

use super::deeds::{Asker, SimDeeds};
use super::fabric::Fabric;
use super::gossip::{self, Gossip};
use super::message::{Admin, Message, address_of};
use super::network::{HostId, Uplink};
use super::options::Sabotage;
use super::peers::SimPeers;
use super::replica::ReplicaLife;
use super::setting::Setting;

/// A leader makes sure of it before it answers as one, within this time (as the gRPC edge does).
const CONFIRM: Duration = Duration::from_secs(5);
/// Spacing of an engine's automatic restarts: short, so that several fit into a run.
const RESTART_SPACING: Duration = Duration::from_secs(10);

/// The server of one host while it runs.
#[derive(Debug)]
pub struct Server {
    host: HostId,
    setting: Arc<Setting>,
    uplink: Uplink,
    engines: Engines,
    fabric: Arc<Fabric>,
    asker: Asker,
    replica: ReplicaLife,
    operations: SystemOps,
    gossip: Gossip,
    end: CancellationToken,
}

impl Server {
    /// Starts a server. Must be called within the runtime of its host.
    pub fn start(setting: &Arc<Setting>, uplink: Uplink, life: u64) -> Arc<Self> {
        let host = uplink.host;
        let disk = setting.disk(host);
        let record = Arc::clone(&setting.record);
        let fabric = Arc::new(Fabric::new(host, life, setting.engines, disk.clone(), record));
        let asker = Asker { uplink: uplink.clone(), replicas: setting.replica_addresses() };
        let supervisor: Arc<dyn Supervisor> = Arc::clone(&fabric) as Arc<dyn Supervisor>;
        let deeds = SimDeeds {
            host: Host {
                address: address_of(host),
                fault_domain: setting.fault_domain(host),
                bootstrap: host == 0,
            },
            disk: disk.clone(),
            fabric: Arc::clone(&fabric),
            asker: asker.clone(),
            record: Arc::clone(&setting.record),
        };
        let deeds = Arc::new(deeds);
        let parts = (0..setting.engines).map(|index| EngineParts {
            index,
            deeds: Arc::clone(&deeds) as _,
            supervisor: Arc::clone(&supervisor),
            gate: StorageGate::default(),
            ready_deadline: Duration::from_secs(20),
            stop_deadline: Duration::from_secs(5),
            restart: RestartPolicy::spaced_by(RESTART_SPACING),
        });
        let (engines, _tasks) = Engines::spawn(parts.collect(), supervisor);
        let peers = Arc::new(SimPeers { uplink: uplink.clone() });
        let server = Arc::new(Self {
            host,
            setting: Arc::clone(setting),
            engines,
            asker,
            replica: ReplicaLife::new(setting, uplink.clone(), disk.replica()),
            operations: SystemOps::new(peers, Limits::default()),
            gossip: Gossip::new(setting.seed, host, life),
            fabric,
            uplink,
            end: CancellationToken::new(),
        });
        // Every task ends with the runtime they run in.
        tokio::spawn(Arc::clone(&server).live());
        server
    }

    async fn live(self: Arc<Self>) {
        self.replica.open().await;
        tokio::spawn(Arc::clone(&self).deliver_events());
        tokio::spawn(Arc::clone(&self).push());
        tokio::spawn(gossip::gossip(
            Arc::clone(&self.fabric),
            self.asker.clone(),
            self.gossip.clone(),
        ));
        self.engines.start_all().await;
        self.end.cancelled().await;
    }

    /// The replica of this host.
    #[must_use]
    pub fn replica(&self) -> &ReplicaLife {
        &self.replica
    }

    /// What the engines do among themselves.
    #[must_use]
    pub fn fabric(&self) -> &Arc<Fabric> {
        &self.fabric
    }

    async fn deliver_events(self: Arc<Self>) {
        let Some(mut events) = self.fabric.events() else { return };
        while let Some(mut event) = events.next().await {
            self.fabric.localise(&mut event);
            let index = event.index;
            match event.kind {
                EngineEventKind::Started { .. } => {}
                EngineEventKind::Ready { pid, ready } => {
                    self.engines.tell(index, Event::Ready { pid, ready }).await;
                }
                EngineEventKind::Exited { pid, status, .. } => {
                    if self.setting.disk(self.host).was_self_terminated(index) {
                        self.engines.tell(index, Event::SelfTerminated).await;
                    }
                    self.engines.tell(index, Event::Exited { pid, status }).await;
                }
                EngineEventKind::Ras(ras) => {
                    if ras.id == RasId::ENGINE_SELF_TERMINATED {
                        self.engines.tell(index, Event::SelfTerminated).await;
                    }
                }
            }
        }
    }

    /// As the real server: pushes while its replica serves.
    async fn push(self: Arc<Self>) {
        let mut services = self.replica.watch();
        loop {
            let service = services.borrow_and_update().clone();
            if let Some(membership) = service {
                let supervisor = Arc::clone(&self.fabric) as Arc<dyn Supervisor>;
                let (maps, role) = (membership.group_map(), membership.watch_role());
                let statuses = self.engines.watch();
                push_group_map(maps, role, statuses, supervisor, self.end.clone()).await;
            }
            if services.changed().await.is_err() {
                return;
            }
        }
    }

    /// Serves one request that has arrived.
    pub async fn serve(self: Arc<Self>, from: HostId, call: u64, message: Message) {
        let responder = self.uplink.responder(from, call);
        let answer = self.answer(from, message).await;
        responder.answer(answer.unwrap_or_else(Message::from));
    }

    async fn answer(&self, from: HostId, message: Message) -> Result<Message, CallError> {
        match message {
            Message::Join(ask) => self.joined(from, *ask).await,
            Message::Event(event) => {
                hear(&self.leader().await?, &event).await?;
                Ok(Message::Done)
            }
            Message::Ranks(call) => Ok(Message::RanksDone(self.ranks(&call).await)),
            Message::Admin(admin) => self.administered(admin).await,
            Message::Probe { rank, incarnation, version } => {
                Ok(gossip::answer(&self.fabric, rank, incarnation, version))
            }
            Message::Group(map) => {
                self.fabric.hear_map(&map).await;
                Ok(Message::Done)
            }
            Message::HasRank(rank) => {
                let known = self.engines.states().iter().any(|seen| seen.rank == Some(rank));
                Ok(Message::Truth(known))
            }
            Message::Enlist(system) => self.replica.enlist(system).await,
            Message::Replica(bytes) => self.replica.answer(&bytes).await,
            other => Err(CallError::Unimplemented(other.to_string())),
        }
    }

    /// The service on this replica, or what to tell who asks the wrong host or too early (contract 1.4).
    fn service(&self) -> Result<MembershipHandle, CallError> {
        match self.replica.service() {
            Some(membership) => Ok(membership),
            None if self.setting.is_listed(self.host) => Err(NotReady::Uninitialized.into()),
            None => {
                let listed = self.setting.replica_addresses();
                let replicas = listed.iter().map(ToString::to_string).collect();
                Err(CallError::NotReplica { replicas })
            }
        }
    }

    async fn leader(&self) -> Result<MembershipHandle, CallError> {
        let membership = self.service()?;
        membership.confirm_leadership(CONFIRM).await?;
        Ok(membership)
    }

    async fn joined(&self, from: HostId, ask: JoinMessage) -> Result<Message, CallError> {
        let membership = self.leader().await?;
        let from = SocketAddr::V4(address_of(from));
        let admit = AdmitJoin::new(Some(address_of(0)), &self.operations);
        let reply = admit.join(&membership, ask, Some(from)).await?;
        Ok(Message::Joined(JoinAnswer { rank: reply.rank, map_version: reply.map_version }))
    }

    async fn ranks(&self, call: &RanksCall) -> Vec<RankReply> {
        let outcomes = match call.action {
            RankAction::PrepareShutdown => self.engines.prepare_shutdown(&call.ranks).await,
            RankAction::Stop => self.engines.stop(&call.ranks, call.force).await,
            RankAction::Start => self.engines.start(&call.ranks).await,
            RankAction::Rejoin => self.engines.rejoin(&call.ranks).await,
            RankAction::ResetFormat => self.engines.reset_format(&call.ranks).await,
        };
        let reply = |outcome: daos_control::engine::RankOutcome| RankReply {
            rank: outcome.rank,
            errored: outcome.error.is_some(),
            message: outcome.error.unwrap_or(outcome.message),
            state: outcome.state,
        };
        outcomes.into_iter().map(reply).collect()
    }

    async fn administered(&self, admin: Admin) -> Result<Message, CallError> {
        let stale = self.setting.sabotage == Some(Sabotage::StaleReads);
        let membership = match &admin {
            Admin::Get { .. } if stale => self.service()?,
            _ => self.leader().await?,
        };
        match admin {
            Admin::Set { key, value } => {
                membership.set_attributes([(key, value)].into()).await?;
                Ok(Message::Done)
            }
            Admin::Get { key } => {
                let all = membership.get_attributes(&[])?;
                Ok(Message::Value(all.get(&key).cloned()))
            }
            Admin::Exclude(ranks, action) => {
                let selection = Selection::Ranks(ranks);
                self.operations.exclude(membership, selection, action, LastUsable::Keep).await?;
                Ok(Message::Done)
            }
            Admin::Stop { ranks, force } => {
                let (selection, excluded) = (Selection::Ranks(ranks), AdminExcludedRanks::Ignore);
                let request = StopRequest { selection, force, excluded };
                self.operations.stop(membership, request).await?;
                Ok(Message::Done)
            }
            Admin::Start(ranks) => {
                let (selection, excluded) = (Selection::Ranks(ranks), AdminExcludedRanks::Ignore);
                let request = StartRequest { selection, check_mode: false, excluded };
                self.operations.start(membership, request).await?;
                Ok(Message::Done)
            }
            Admin::Replicas { add, remove } => {
                let changed = move |wanted: &[ControlAddress]| {
                    let stays = |at: &&ControlAddress| !remove.contains(at);
                    let kept: Vec<_> = wanted.iter().filter(stays).copied().collect();
                    replicas::add(&kept, &add, Even::Refuse)
                };
                membership.want_replicas(changed).await?;
                Ok(Message::Done)
            }
            Admin::Query => Ok(Message::Members(membership.members())),
        }
    }

    /// How many engines serve here.
    #[must_use]
    pub fn running(&self) -> usize {
        let states = self.engines.states();
        states.iter().filter(|seen| matches!(seen.state, EngineState::Running { .. })).count()
    }

    /// Starts the engines that failed before they got a rank, which no operation on ranks can mean.
    pub async fn start_rankless(&self) {
        for seen in self.engines.states() {
            if seen.rank.is_none() && matches!(seen.state, EngineState::Failed { .. }) {
                self.engines.tell(seen.index, Event::StartRequested).await;
            }
        }
    }
}
