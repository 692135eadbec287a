//! The road of news about peers to the server: one event at a time, tried again as long as it is true.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::events::Reporter;

/// Pause before an event is sent again that did not reach the server.
const PAUSE: Duration = Duration::from_secs(1);

/// What is to be told about a rank: its start and whether it was given up.
pub type PeerNews = (u32, u64, bool);

/// Sends what comes until the sender is gone. Of one rank only the last word counts.
pub async fn tell(reporter: Reporter, mut news: mpsc::UnboundedReceiver<PeerNews>) {
    let mut pending: BTreeMap<u32, (u64, bool)> = BTreeMap::new();
    loop {
        while let Ok((rank, incarnation, dead)) = news.try_recv() {
            pending.insert(rank, (incarnation, dead));
        }
        let Some((rank, (incarnation, dead))) = pending.pop_first() else {
            let Some((rank, incarnation, dead)) = news.recv().await else { return };
            pending.insert(rank, (incarnation, dead));
            continue;
        };
        if let Err(error) = reporter.peer(rank, incarnation, dead).await {
            tracing::warn!(%error, rank, dead, "the server was not told about a peer");
            pending.insert(rank, (incarnation, dead));
            // Ends early when there is something newer to say.
            if let Ok(newer) = timeout(PAUSE, news.recv()).await {
                let Some((rank, incarnation, dead)) = newer else { return };
                pending.insert(rank, (incarnation, dead));
            }
        }
    }
}
