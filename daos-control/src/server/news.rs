//! Events of this host on their way to the system (contract 6.7, 9.2): each is logged once where it is raised, and one
//! that changes a state goes to the leader of the management service.
//!
//! Raised by `events` and `deeds`, forwarded by one task of the server. Events that other hosts forward do not pass here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::client::Client;
use crate::drpc::{RasEvent, RasSeverity, RasType};
use crate::management::{Management, ManagementState};
use crate::system_ops::hear;

/// Events that wait for the management service; further ones are dropped.
const WAITING: usize = 1024;
/// Events that are sent at a time: many ranks may die together.
const AT_A_TIME: usize = 16;
/// A leader makes sure of it before it hears an event, within this time.
const CONFIRM: Duration = Duration::from_secs(5);

/// Raises events; cheap to clone.
#[derive(Debug, Clone)]
pub struct News(mpsc::Sender<RasEvent>);

impl News {
    /// Where events are raised, and where they come out.
    pub fn new() -> (Self, mpsc::Receiver<RasEvent>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    /// Logs an event and, if it changes a state, sees that the leader hears of it. Never waits.
    pub fn raise(&self, event: RasEvent) {
        match event.severity {
            RasSeverity::Error => error!("&&& RAS {event}"),
            RasSeverity::Warning => warn!("&&& RAS {event}"),
            RasSeverity::Notice => info!("&&& RAS {event}"),
        }
        self.forward(event);
    }

    /// The same without a line in the log, for what was logged already.
    pub fn forward(&self, event: RasEvent) {
        // Whom it concerns must be known (contract 4.4).
        if event.kind != RasType::StateChange || event.rank.is_none() {
            return;
        }
        if let Err(refused) = self.0.try_send(event) {
            let (why, event) = match refused {
                mpsc::error::TrySendError::Full(event) => ("too many events wait", event),
                mpsc::error::TrySendError::Closed(event) => ("the server is ending", event),
            };
            warn!("{} of rank {:?} is not forwarded: {why}", event.id, event.rank);
        }
    }
}

/// Forwards events until the end. They are numbered from 1 on; when nobody takes one in the time of the client, it is dropped.
pub async fn forward_news(
    mut raised: mpsc::Receiver<RasEvent>,
    management: Management,
    client: Client,
    end: CancellationToken,
) {
    let sequence = AtomicU64::new(1);
    let mut sending = JoinSet::new();
    loop {
        tokio::select! {
            () = end.cancelled() => break,
            Some(sent) = sending.join_next() => {
                if let Err(broken) = sent {
                    error!("forwarding an event broke: {broken}");
                }
            }
            event = raised.recv(), if sending.len() < AT_A_TIME => {
                let Some(event) = event else { break };
                let number = sequence.fetch_add(1, Ordering::Relaxed);
                sending.spawn(forward(number, event, management.clone(), client.clone()));
            }
        }
    }
    sending.shutdown().await;
}

/// The leader hears its own host directly; whoever else leads is asked, as often as the client asks.
async fn forward(sequence: u64, event: RasEvent, management: Management, client: Client) {
    if let ManagementState::Running(membership) = management.state() {
        // A leader that was replaced without knowing would find nothing to change.
        let heard = match membership.confirm_leadership(CONFIRM).await {
            Ok(()) => hear(&membership, &event).await,
            Err(elsewhere) => Err(elsewhere),
        };
        match heard {
            Ok(()) => return,
            Err(elsewhere) => debug!("event {} is for another replica: {elsewhere}", event.id),
        }
    }
    if let Err(refused) = client.cluster_event(sequence, &event).await {
        warn!(
            "{} of rank {:?} did not reach the management service: {refused}",
            event.id, event.rank
        );
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use tokio::time::timeout;

    use super::*;
    use crate::client::{ClientConfig, HostSet, Transport};
    use crate::drpc::RasId;
    use crate::management::{ManagementKeeper, ReplicaHosts, Replicas};

    fn dead(rank: Option<u32>) -> RasEvent {
        let kind = RasType::StateChange;
        RasEvent { id: RasId::SWIM_RANK_DEAD, kind, rank, ..RasEvent::default() }
    }

    #[tokio::test]
    async fn only_changes_of_a_known_rank_are_for_the_system() {
        let (news, mut raised) = News::new();
        let own = RasEvent { kind: RasType::Info, ..dead(Some(1)) };
        for event in [own, dead(None), dead(Some(2)), dead(Some(3))] {
            news.raise(event);
        }
        drop(news);
        let mut forwarded = Vec::new();
        while let Some(event) = raised.recv().await {
            forwarded.push(event.rank);
        }
        assert_eq!(forwarded, [Some(2), Some(3)]);
    }

    #[tokio::test]
    async fn what_is_too_much_is_dropped_and_nobody_waits() {
        let (news, mut raised) = News::new();
        for rank in 0..2 * u32::try_from(WAITING).unwrap() {
            news.forward(dead(Some(rank)));
        }
        let mut kept = 0;
        while let Ok(event) = raised.try_recv() {
            assert_eq!(event.rank, Some(kept));
            kept += 1;
        }
        assert_eq!(kept as usize, WAITING);
        drop(raised);
        news.forward(dead(Some(1)));
    }

    /// A management service that does not answer is asked again and again, but holds up no end of the server.
    #[tokio::test]
    async fn forwarding_ends_with_the_server() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let settings = ClientConfig {
            hosts: HostSet::parse(&address.to_string()).unwrap(),
            transport: Transport::Insecure,
            ..ClientConfig::default()
        };
        let client = Client::new(&settings).unwrap();
        let replicas = Replicas { addresses: Vec::new(), own: None };
        let (_keeper, management) =
            ManagementKeeper::new(replicas, ReplicaHosts::new(&client, "n"));
        let (news, raised) = News::new();
        let end = CancellationToken::new();
        let task = tokio::spawn(forward_news(raised, management, client, end.clone()));
        news.forward(dead(Some(1)));
        // Somebody is asked: the connection comes.
        let asked = tokio::task::spawn_blocking(move || listener.accept().map(drop));
        timeout(Duration::from_secs(30), asked).await.unwrap().unwrap().unwrap();
        end.cancel();
        timeout(Duration::from_secs(30), task).await.unwrap().unwrap();
    }
}
