//! Asks the management service until it admits the engine or refuses it for good.
//!
//! The road is the same for every engine: gRPC to a replica, also when that is this very process.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::request::{JoinAnswer, JoinAsk};
use crate::client::Client;
use crate::fault::{Fault, code};
use crate::management::{Management, ManagementState};
use crate::wire::CallError;

/// One join with all its tries (contract 1.9); asked again after that, for as long as the server runs (R161).
const ONE_REQUEST: Duration = Duration::from_secs(3600);
/// One try.
const ONE_TRY: Duration = Duration::from_secs(10);

/// Sends joins; cheap to clone.
#[derive(Debug, Clone)]
pub struct Joiner {
    client: Client,
    management: Management,
}

impl Joiner {
    /// A joiner that asks the replicas this client names.
    #[must_use]
    pub fn new(client: Client, management: Management) -> Self {
        Self { client: client.with_timeout(ONE_REQUEST), management }
    }

    /// Asks for a rank.
    ///
    /// # Errors
    /// A refusal that asking again cannot change (contract 6.4), or this host's own replica having failed.
    pub async fn join(&self, ask: &JoinAsk) -> Result<JoinAnswer, Fault> {
        let said = Said::default();
        loop {
            self.own_replica_ready().await?;
            let tell = |error: &CallError| said.hear(ask.index, error);
            match self.client.join(ask, ONE_TRY, &tell).await {
                Ok(answer) => return Ok(answer),
                Err(refused) if refused.is_passing() => {
                    tracing::warn!("engine {} could not join yet: {refused}", ask.index);
                }
                Err(refused) => {
                    return Err(refused
                        .fault()
                        .unwrap_or_else(|| unexplained(ask.index, &refused)));
                }
            }
        }
    }

    /// A replica that knows of no system yet is waited for: nobody else can know one before. The only replica is the
    /// only one to ask, so when it failed there is nobody.
    async fn own_replica_ready(&self) -> Result<(), Fault> {
        let alone = self.management.replicas().len() <= 1;
        let mut state = self.management.watch();
        let ready = state
            .wait_for(|state| !matches!(state, ManagementState::Uninitialized { .. }))
            .await
            .map(|state| state.clone());
        match ready {
            Ok(ManagementState::Failed(fault)) if alone => Err(fault),
            Ok(_) => Ok(()),
            Err(_ended) => Err(Fault::new(
                "server",
                code::ENGINE_SHUTTING_DOWN,
                "the server is shutting down",
                "start the server again",
            )),
        }
    }
}

/// What the log was told last about an engine that cannot join yet: once for each reason.
#[derive(Debug, Default)]
struct Said(Mutex<String>);

impl Said {
    fn hear(&self, index: u32, error: &CallError) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = worth_telling(error).filter(|why| *why != *said) {
            tracing::warn!("engine {index} cannot join yet: {why}");
            *said = why;
        }
    }
}

/// Being sent to the leader, and a service that comes up, are how joins go.
fn worth_telling(error: &CallError) -> Option<String> {
    match error {
        CallError::NotLeader { hint, .. } if hint.is_empty() => {
            Some("the management service has no leader".to_owned())
        }
        CallError::NotLeader { .. } | CallError::NotReplica { .. } | CallError::NotReady(_) => None,
        other => Some(other.to_string()),
    }
}

/// A refusal that is only a text: the management service says why (contract 6.4).
fn unexplained(index: u32, refused: &crate::client::ClientError) -> Fault {
    Fault::new(
        "server",
        code::ENGINE_JOIN_REFUSED,
        format!("engine {index} may not join: {refused}"),
        "look at 'dmg system query --verbose' for what the system knows of this engine",
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use daos_membership::Incarnation;
    use tokio::time::timeout;
    use uuid::Uuid;

    use super::*;
    use crate::client::{ClientConfig, HostSet, Transport};
    use crate::management::{ManagementKeeper, ReplicaHosts, Replicas};
    use crate::supervisor::EngineReady;

    fn ask() -> JoinAsk {
        JoinAsk {
            uuid: Uuid::from_u128(1),
            rank: None,
            index: 0,
            address: "127.0.0.1:1".parse().unwrap(),
            ready: EngineReady {
                uri: "ofi+tcp://127.0.0.1:1".to_owned(),
                contexts: 1,
                targets: 1,
                incarnation: Incarnation(1),
                secondary_uris: Vec::new(),
                secondary_contexts: Vec::new(),
                check_mode: false,
            },
            fault_domain: "/a".to_owned(),
            replace: false,
        }
    }

    #[test]
    fn a_reason_is_told_once_and_the_way_to_the_leader_never() {
        let told = |error: CallError| worth_telling(&error);
        let fault = |text: &str| Fault::new("security", code::SECURITY_NOT_TLS, text, "use both");
        assert!(told(fault("the peer does not speak TLS").into()).unwrap().contains("code = 1406"));
        assert_eq!(told(CallError::NotLeader { hint: "h:1".into(), replicas: vec![] }), None);
        assert!(told(CallError::NotLeader { hint: "".into(), replicas: vec![] }).is_some());
        assert_eq!(told(crate::wire::NotReady::SteppingUp.into()), None);
        let said = Said::default();
        for text in ["one", "one", "two"] {
            said.hear(0, &fault(text).into());
            assert!(said.0.lock().unwrap().contains(text));
        }
    }

    /// It asks nobody, however long that takes, and ends with the server.
    #[tokio::test]
    async fn on_a_replica_a_join_waits_for_the_system() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().to_string();
        let settings = ClientConfig {
            hosts: HostSet::parse(&own).unwrap(),
            transport: Transport::Insecure,
            ..ClientConfig::default()
        };
        let client = Client::new(&settings).unwrap();
        let replicas = Replicas { addresses: vec![own.parse().unwrap()], own: Some(0) };
        let (keeper, management) = ManagementKeeper::new(replicas, ReplicaHosts::new(&client, "n"));
        let joiner = Joiner::new(client, management);
        let asked = ask();
        let joining = joiner.join(&asked);
        tokio::pin!(joining);
        tokio::select! {
            biased;
            _ = &mut joining => panic!("there is no system yet"),
            _ = listener.accept() => panic!("nobody may be asked yet"),
            () = std::future::ready(()) => {}
        }
        drop(keeper);
        let ended = timeout(Duration::from_secs(30), joining).await.expect("it waits no more");
        assert_eq!(ended.unwrap_err().code, code::ENGINE_SHUTTING_DOWN);
    }
}
