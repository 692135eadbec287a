//! A server that is killed in a storm of joins: whatever was acknowledged is there afterwards (W34).

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::sync::Arc;

use daos_membership::conformance::network::MemNetwork;
use daos_membership::conformance::samples;
use daos_membership::{
    Local, LocalOptions, Membership, MembershipOptions, Quorum, QuorumOptions, Rank, RedbStore,
    Replicate, Store, System, SystemClock, Timestamp,
};
use rstest::rstest;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::local::me;

/// Where the child finds its store; set by the parent only.
const DIR: &str = "DAOS_MEMBERSHIP_KILL_TEST_DIR";
/// Which body the child runs; set by the parent only.
const BODY: &str = "DAOS_MEMBERSHIP_KILL_TEST_BODY";
const ROUNDS: u32 = 3;
/// Joins that are under way at any moment, so that a kill meets a commit.
const AT_ONCE: u32 = 64;

/// What is killed.
#[derive(Debug, Clone, Copy)]
enum Body {
    Local,
    Quorum,
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl FromStr for Body {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "Local" => Ok(Self::Local),
            "Quorum" => Ok(Self::Quorum),
            other => Err(other.to_owned()),
        }
    }
}

/// What the parent kills. Joins engines for ever and prints `<uuid> <rank>` for each acknowledged one.
#[test]
#[ignore = "the child of acknowledged_joins_survive_kill_9"]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let body = std::env::var(BODY).unwrap().parse().unwrap();
        let replica = open(Path::new(&dir), body).await;
        let first = replica.view().read(System::member_count) as u32;
        let fabric_providers = vec![samples::PROVIDER.to_owned()];
        let service = Membership::start(
            replica,
            Arc::new(SystemClock),
            MembershipOptions::new(fabric_providers),
        );
        let mut joins = JoinSet::new();
        for n in first.. {
            let handle = service.handle();
            joins.spawn(async move {
                let request = samples::join_request(n);
                let (uuid, reply) = (request.uuid, handle.join(request).await.unwrap());
                // One write, so that a kill leaves whole lines and at most one torn one.
                std::io::stdout().write_all(format!("{uuid} {}\n", reply.rank).as_bytes()).unwrap();
            });
            if joins.len() >= AT_ONCE as usize {
                joins.join_next().await.unwrap().unwrap();
            }
        }
    });
}

/// Runs a replica on the store. Snapshots are made often enough that a kill meets them too.
async fn open(dir: &Path, body: Body) -> Arc<dyn Replicate> {
    let store = Box::new(RedbStore::open(dir, Some(samples::identity().uuid)).unwrap());
    match body {
        Body::Local => {
            let options = LocalOptions { snapshot_after: 16 };
            Arc::new(Local::start(store, me(), options).await.unwrap())
        }
        Body::Quorum => {
            let options =
                QuorumOptions { snapshot_after: 16, keep_entries: 4, ..QuorumOptions::default() };
            let network = MemNetwork::new(0).from(me());
            let replica = if Quorum::is_unused(&*store).unwrap() {
                let at = Timestamp::default();
                Quorum::found(store, me(), vec![me()], at, network, options).await
            } else {
                Quorum::start(store, me(), network, options).await
            };
            Arc::new(replica.unwrap())
        }
    }
}

/// Runs the child until it has acknowledged so many joins, kills it and reads all it acknowledged.
fn acknowledged(dir: &Path, body: Body, enough: u32) -> BTreeMap<Uuid, Rank> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child", "--ignored", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .env(BODY, body.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut acknowledged = BTreeMap::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while lines.read_line(&mut line).unwrap() > 0 {
        let whole = line.strip_suffix('\n').and_then(|line| line.split_once(' '));
        // The harness prints lines of its own.
        let join: Option<(Uuid, Rank)> =
            whole.and_then(|(uuid, rank)| Some((uuid.parse().ok()?, rank.parse().ok()?)));
        acknowledged.extend(join);
        if acknowledged.len() as u32 == enough {
            child.kill().unwrap();
        }
        line.clear();
    }
    let status = child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{status}");
    acknowledged
}

async fn recovered(dir: &Path, body: Body) -> System {
    let replica = open(dir, body).await;
    let system = replica.view().read(Clone::clone);
    replica.shutdown().await;
    system
}

#[rstest]
#[tokio::test]
async fn acknowledged_joins_survive_kill_9(#[values(Body::Local, Body::Quorum)] body: Body) {
    let dir = tempfile::tempdir().unwrap();
    drop(RedbStore::create(dir.path(), &samples::identity()).unwrap());
    let mut all = BTreeMap::new();
    for round in 1..=ROUNDS {
        let told = acknowledged(dir.path(), body, 150 * round);
        assert!(told.len() as u32 >= 150 * round, "{} joins in round {round}", told.len());
        all.extend(told);
        let system = recovered(dir.path(), body).await;
        for (uuid, rank) in &all {
            let member = system.member_by_uuid(*uuid);
            let found = member.map(|member| member.rank);
            assert_eq!(found, Some(*rank), "engine {uuid} in round {round}");
        }
        assert_eq!(
            recovered(dir.path(), body).await,
            system,
            "it starts again with the same state"
        );
    }
    let store = RedbStore::open(dir.path(), None).unwrap();
    assert!(store.bounds().unwrap().snapshot.is_some(), "the kills met snapshots");
}
