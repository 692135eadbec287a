//! What the real engine task asks of a server, over simulated disks and the simulated network.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use daos_control::client::{ClientError, HostAddr, ask_over, join_over};
use daos_control::drpc::{RasEvent, RasId};
use daos_control::engine::{EngineDeeds, Looked, Settled};
use daos_control::fault::Fault;
use daos_control::join::{Host, JoinAnswer, JoinAsk, ask_for};
use daos_control::supervisor::{EngineLaunch, EngineReady, StopLimits, Supervisor};
use daos_control::system_ops::JoinMessage;
use daos_control::wire::CallError;
use daos_membership::{ControlAddress, Incarnation, Rank};
use tokio::time::sleep;

use super::disk::HostDisk;
use super::fabric::Fabric;
use super::message::{Message, host_of, unanswered};
use super::network::Uplink;
use super::record::Record;

/// One try of a join, and one call of anything else.
const ONE_TRY: Duration = Duration::from_secs(10);
/// What forwarding an event may take with all its tries.
const FORWARD: Duration = Duration::from_secs(60);

/// Asks the management service on behalf of one host; cheap to clone.
#[derive(Debug, Clone)]
pub struct Asker {
    /// The host's network.
    pub uplink: Uplink,
    /// Control addresses of the replicas that the configuration names.
    pub replicas: Vec<HostAddr>,
}

impl Asker {
    /// One call to a host that is named in a list or a hint.
    pub async fn once(&self, host: &HostAddr, message: Message) -> Result<Message, CallError> {
        let address: Option<ControlAddress> = host.to_string().parse().ok();
        let Some(to) = address.and_then(host_of) else {
            return Err(CallError::text(format!("no such host: {host}")));
        };
        match tokio::time::timeout(ONE_TRY, self.uplink.call(to, message)).await {
            Err(_late) => Err(CallError::DeadlineExceeded("no answer in time".to_owned())),
            Ok(Err(why)) => Err(unanswered(to, why)),
            Ok(Ok(Message::Refused(error))) => Err(*error),
            Ok(Ok(answer)) => Ok(answer),
        }
    }

    /// A request to the management service with all its tries.
    ///
    /// # Errors
    /// As a client's.
    pub async fn ask(&self, limit: Duration, message: Message) -> Result<Message, ClientError> {
        ask_over("Simulated", self.replicas.clone(), limit, |host| {
            let message = message.clone();
            async move { self.once(&host, message).await }
        })
        .await
    }

    /// Passes news of an engine on to the leader, as far as that is possible.
    pub async fn forward(&self, event: RasEvent) {
        // What cannot be forwarded in the usual time is dropped (contract 6.7).
        let _dropped = self.ask(FORWARD, Message::Event(Box::new(event))).await;
    }

    async fn join(&self, ask: &JoinAsk) -> Result<JoinAnswer, Fault> {
        loop {
            let joined = join_over(self.replicas.clone(), ONE_TRY, |host| async move {
                match self.once(&host, Message::Join(Box::new(travelling(ask)))).await? {
                    Message::Joined(answer) => Ok(answer),
                    other => Err(CallError::text(format!("a join was answered with {other}"))),
                }
            })
            .await;
            match joined {
                Ok(answer) => return Ok(answer),
                Err(refused) if refused.is_passing() => {}
                Err(refused) => {
                    let text = refused.to_string();
                    let unexplained = || Fault::new("server", 0, text, "");
                    return Err(refused.fault().unwrap_or_else(unexplained));
                }
            }
        }
    }
}

fn travelling(ask: &JoinAsk) -> JoinMessage {
    JoinMessage {
        uuid: ask.uuid,
        rank: ask.rank,
        index: ask.index,
        address: ask.address.to_string(),
        incarnation: ask.incarnation(),
        fabric_uri: ask.ready.uri.clone(),
        secondary_fabric_uris: ask.ready.secondary_uris.clone(),
        fabric_contexts: ask.ready.contexts,
        secondary_fabric_contexts: ask.ready.secondary_contexts.clone(),
        fault_domain: ask.fault_domain.clone(),
        check_mode: ask.ready.check_mode,
        replace: ask.replace,
    }
}

/// The body of `EngineDeeds` in a simulation.
#[derive(Debug)]
pub struct SimDeeds {
    /// What the host announces.
    pub host: Host,
    /// Its disk.
    pub disk: HostDisk,
    /// Its engines.
    pub fabric: Arc<Fabric>,
    /// Whom it asks.
    pub asker: Asker,
    /// Where it is recorded.
    pub record: Arc<Record>,
}

#[async_trait]
impl EngineDeeds for SimDeeds {
    async fn look(&self, index: u32) -> Looked {
        sleep(Duration::from_millis(1)).await;
        match self.disk.superblock(index) {
            Some(_) => Looked::Ready,
            None => Looked::NeedsFormat("blank".to_owned()),
        }
    }

    async fn launch(&self, index: u32) -> Result<u32, Fault> {
        let launch = EngineLaunch {
            index,
            program: "/simulated".into(),
            arguments: Vec::new(),
            environment: vec![(
                daos_control::stand_in::VARIABLE.into(),
                format!("ready-delay={}", 20 + index % 16 * 10).into(),
            )],
            working_dir: None,
            limits: StopLimits::default(),
        };
        self.fabric.start(launch).await.map_err(Fault::from)
    }

    async fn join(&self, index: u32, ready: &EngineReady, replace: bool) -> Result<Settled, Fault> {
        let blank = || Fault::new("storage", 0, format!("engine {index} has no superblock"), "");
        let mut superblock = self.disk.superblock(index).ok_or_else(blank)?;
        superblock.incarnation = ready.incarnation.0;
        self.disk.store_superblock(index, superblock.clone());
        let ask = ask_for(index, &superblock, None, &self.host, ready, replace);
        self.record.asked(ask.uuid, ask.incarnation());
        let answer = self.asker.join(&ask).await?;
        self.record.joined(ask.uuid, ask.incarnation(), answer);
        superblock.rank = Some(answer.rank.get());
        superblock.valid_rank = true;
        superblock.uri.clone_from(&ask.ready.uri);
        self.disk.store_superblock(index, superblock);
        Ok(Settled {
            rank: answer.rank,
            map_version: answer.map_version,
            incarnation: ready.incarnation,
        })
    }

    async fn reset(&self, _index: u32) -> Result<(), Fault> {
        Err(Fault::new("server", 0, "nothing is erased in this simulation", ""))
    }

    fn known_rank(&self, index: u32) -> Option<Rank> {
        self.disk.superblock(index)?.joined_rank().and_then(Rank::new)
    }

    async fn report_absence(&self, index: u32, how: String) {
        let Some(rank) = self.known_rank(index) else { return };
        self.asker.forward(death(rank, Incarnation(0), how)).await;
    }

    async fn report_death(&self, _index: u32, rank: Rank, incarnation: Incarnation, how: String) {
        self.asker.forward(death(rank, incarnation, how)).await;
    }
}

fn death(rank: Rank, incarnation: Incarnation, message: String) -> RasEvent {
    RasEvent {
        id: RasId::ENGINE_DIED,
        rank: Some(rank.get()),
        incarnation: incarnation.0,
        message,
        ..RasEvent::default()
    }
}
