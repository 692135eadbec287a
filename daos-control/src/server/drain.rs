//! The end of a server, in one fixed order and within bounds (R16, W42).
//!
//! 1 nothing new comes in and engines end, by grace, then by force; 2 what runs, a format or a system operation, ends; 3 news is delivered;
//! 5 the system database is closed; 6 sockets and locks go.

use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;
use tracing::{info, warn};

use super::start::Server;
use crate::supervisor::StopHow;

/// Requests that are being answered may end.
const LAST_ANSWERS: Duration = Duration::from_secs(3);
/// A format that was begun may end: what it leaves half done has to be done again.
const LAST_FORMAT: Duration = Duration::from_secs(20);
/// An operation on the ranks of the system may end.
const LAST_OPERATIONS: Duration = Duration::from_secs(5);
/// Tasks that only have to notice the end.
const LAST_NEWS: Duration = Duration::from_secs(5);

impl Server {
    /// Ends everything. When `hurry` completes, engines are killed instead of waited for.
    pub async fn shut_down(self, hurry: impl Future<Output = ()> + Send) {
        let Self {
            listening,
            engines,
            format,
            supervisor,
            keeper,
            operations,
            mut tasks,
            end,
            claims,
            ..
        } = self;
        // Together: a request that waits for an engine to start ends with that engine, not with its own patience.
        let ending = async {
            let killing = async {
                hurry.await;
                engines.shut_down(true).await;
            };
            tokio::select! {
                () = engines.shut_down(false) => {}
                () = killing => {}
            }
        };
        operations.end_followers();
        tokio::join!(listening.stop(LAST_ANSWERS), ending);
        if timeout(LAST_FORMAT, format.drain()).await.is_err() {
            warn!("a storage format does not end; its journal mark tells the next start");
        }
        if timeout(LAST_OPERATIONS, operations.drain()).await.is_err() {
            warn!("a system operation does not end and is dropped");
        }
        supervisor.shutdown(StopHow::Kill).await;
        end.cancel();
        drop((engines, format));
        let ended = timeout(LAST_NEWS, async { while tasks.join_next().await.is_some() {} }).await;
        if ended.is_err() {
            warn!("some tasks did not end in time");
            tasks.shutdown().await;
        }
        keeper.close().await;
        drop(claims);
        info!("the server has ended");
    }
}
