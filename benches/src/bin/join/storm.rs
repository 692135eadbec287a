//! Joins of many engines at once, over few connections or over one each, and how long each took.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use daos_proto::mgmt::mgmt_svc_client::MgmtSvcClient;
use futures_util::future::try_join_all;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::arguments::Connections;
use crate::joining::{connect, join, signed};

/// How often one join is sent at most; a server that closes a busy connection (GOAWAY) is a reason to send it again.
const MOST_TRIES: u32 = 20;
/// Pause before a join is sent again.
const PAUSE: Duration = Duration::from_millis(10);
/// Bound of a storm: so long, and so many joins in a second at least.
const PATIENCE: Duration = Duration::from_secs(60);
const SLOWEST: u32 = 50;

/// One answered join.
#[derive(Debug, Clone, Copy)]
pub struct Joined {
    /// When, since the storm began.
    pub at: Duration,
    /// From its first sending to its answer.
    pub took: Duration,
}

/// What came of a storm.
#[derive(Debug)]
pub struct Storm {
    /// When it began.
    pub began: Instant,
    /// The joins in order of their answers.
    pub joined: Vec<Joined>,
    /// Joins that were sent more than once.
    pub retried: u32,
}

struct Source {
    port: u16,
    members: u32,
    next: Cell<u32>,
    retried: Cell<u32>,
    began: Instant,
}

/// Lets `members` engines join at the server at this port.
pub async fn run(
    port: u16,
    members: u32,
    connections: Connections,
    in_flight: usize,
) -> Result<Storm> {
    let (next, retried) = (Cell::new(0), Cell::new(0));
    let source = Source { port, members, next, retried, began: Instant::now() };
    let bound = PATIENCE + Duration::from_secs(u64::from(members / SLOWEST));
    let all = async {
        match connections {
            Connections::Shared(count) => {
                let open = try_join_all((0..count).map(|_| connect(port))).await?;
                let lanes = open
                    .iter()
                    .flat_map(|each| (0..in_flight).map(|_| source.shared(each.clone())));
                try_join_all(lanes).await
            }
            Connections::Each(at_once) => try_join_all((0..at_once).map(|_| source.each())).await,
        }
    };
    let joined = tokio::time::timeout(bound, all).await;
    let mut joined: Vec<Joined> =
        joined.with_context(|| format!("no end after {bound:?}"))??.into_iter().flatten().collect();
    joined.sort_by_key(|joined| joined.at);
    Ok(Storm { began: source.began, joined, retried: source.retried.get() })
}

impl Source {
    fn next(&self) -> Option<u32> {
        let number = self.next.get();
        self.next.set(number + 1);
        (number < self.members).then_some(number)
    }

    /// One join after another over a connection that others use as well.
    async fn shared(&self, mut client: MgmtSvcClient<Channel>) -> Result<Vec<Joined>> {
        let mut joined = Vec::new();
        while let Some(number) = self.next() {
            let sent = Instant::now();
            let mut tries = 1;
            while let Err(refused) = client.join(signed(join(number))).await {
                self.again(&mut tries, number, &refused).await?;
            }
            joined.push(self.answered(sent));
        }
        Ok(joined)
    }

    /// One join after another, each over a new connection.
    async fn each(&self) -> Result<Vec<Joined>> {
        let mut joined = Vec::new();
        while let Some(number) = self.next() {
            let sent = Instant::now();
            let mut tries = 1;
            loop {
                let answer = match connect(self.port).await {
                    Ok(mut client) => client.join(signed(join(number))).await.map(drop),
                    Err(refused) => Err(Status::unavailable(refused.to_string())),
                };
                match answer {
                    Ok(()) => break,
                    Err(refused) => self.again(&mut tries, number, &refused).await?,
                }
            }
            joined.push(self.answered(sent));
        }
        Ok(joined)
    }

    fn answered(&self, sent: Instant) -> Joined {
        Joined { at: self.began.elapsed(), took: sent.elapsed() }
    }

    /// Waits before the next try, unless there is no sense in one. A join may be repeated: it is the same engine.
    async fn again(&self, tries: &mut u32, number: u32, refused: &Status) -> Result<()> {
        let passing = matches!(refused.code(), Code::Unavailable | Code::Cancelled)
            || std::error::Error::source(refused).is_some();
        if !passing || *tries == MOST_TRIES {
            bail!("join {number} failed at try {tries}: {refused}");
        }
        self.retried.set(self.retried.get() + u32::from(*tries == 1));
        *tries += 1;
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }
}
