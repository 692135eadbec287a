//! Passes maps on in the tree: never two at once, always the newest, over whoever is gone.
//!
//! One task of the node, which puts the newest parcel into a watch.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::exchange::send;
use super::map::PeerMap;
use super::node::MAP_PATIENCE;
use super::spread::{BRANCHES, children};

/// Slower peers do not hold up a newer map for longer.
const COALESCE: Duration = Duration::from_millis(200);
/// Peers whose part of the tree is taken over in one round because they are gone; the others ask for the map themselves.
const MOST_ADOPTED: usize = 64;

/// A map on its way through the tree.
#[derive(Debug)]
pub struct Parcel {
    /// The map.
    pub map: Arc<PeerMap>,
    /// The rank of this engine.
    pub own: u32,
    /// The rank at the root of the tree.
    pub root: u32,
    /// The question with the map in it.
    pub message: Vec<u8>,
}

/// Passes each map on to this engine's children in the tree: never two maps at once, always the newest.
pub async fn pass_on(mut parcels: watch::Receiver<Option<Arc<Parcel>>>) {
    let mut passed = 0;
    loop {
        let Some(parcel) = newer_than(&mut parcels, passed).await else { return };
        passed = parcel.map.version();
        let superseded = async {
            let began = Instant::now();
            if newer_than(&mut parcels, passed).await.is_none() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep_until(began + COALESCE).await;
        };
        tokio::select! {
            () = deliver(&parcel) => {}
            () = superseded => {}
        }
    }
}

/// Waits for a map above this version; `None` when the engine ends.
async fn newer_than(
    parcels: &mut watch::Receiver<Option<Arc<Parcel>>>,
    version: u32,
) -> Option<Arc<Parcel>> {
    let is_newer = |parcel: &Option<Arc<Parcel>>| {
        parcel.as_ref().is_some_and(|parcel| parcel.map.version() > version)
    };
    parcels.wait_for(is_newer).await.ok()?.clone()
}

/// One round: to the children, and to the children of those that cannot be reached.
async fn deliver(parcel: &Arc<Parcel>) {
    let mut next: Vec<u32> = children(&parcel.map, parcel.root, parcel.own);
    let mut sending = JoinSet::new();
    let mut adopted = 0;
    loop {
        while sending.len() < BRANCHES
            && let Some(rank) = next.pop()
        {
            let address = parcel.map.member(rank).and_then(|member| member.address);
            let parcel = Arc::clone(parcel);
            sending.spawn(async move { (rank, reached(address, &parcel.message).await) });
        }
        match sending.join_next().await {
            None => return,
            Some(Ok((rank, false))) if adopted < MOST_ADOPTED => {
                adopted += 1;
                next.extend(children(&parcel.map, parcel.root, rank));
            }
            Some(_) => {}
        }
    }
}

async fn reached(address: Option<SocketAddr>, message: &[u8]) -> bool {
    match address {
        Some(address) => send(address, message, MAP_PATIENCE).await.is_ok(),
        None => false,
    }
}
