//! A replica among several: the suite, and how fast a lost leader is replaced.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use daos_membership::conformance::cluster::{Cluster, OpenStore};
use daos_membership::conformance::replicate_suite;
use daos_membership::conformance::samples::{self, admit, command};
use daos_membership::{QuorumOptions, RedbStore, Replicate};

pub(crate) fn quick() -> QuorumOptions {
    QuorumOptions { snapshot_after: 64, ..QuorumOptions::default() }
}

pub(crate) fn on_files(dirs: Vec<PathBuf>) -> OpenStore {
    Box::new(move |n| {
        let dir = &dirs[n];
        Box::new(match RedbStore::exists(dir) {
            true => RedbStore::open(dir, None).unwrap(),
            false => RedbStore::create(dir, &samples::identity()).unwrap(),
        })
    })
}

#[tokio::test]
async fn alone_in_memory_passes_the_suite() {
    replicate_suite(|| Box::new(Cluster::in_memory(1, quick()).0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alone_on_a_file_passes_the_suite() {
    let parent = tempfile::tempdir().unwrap();
    let mut places = 0;
    replicate_suite(|| {
        places += 1;
        let dir = parent.path().join(places.to_string());
        std::fs::create_dir(&dir).unwrap();
        Box::new(Cluster::new(1, quick(), on_files(vec![dir])))
    })
    .await;
}

#[tokio::test]
async fn three_in_memory_pass_the_suite() {
    replicate_suite(|| Box::new(Cluster::in_memory(3, quick()).0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_on_files_pass_the_suite() {
    let parent = tempfile::tempdir().unwrap();
    let mut places = 0;
    replicate_suite(|| {
        places += 1;
        let dirs = (0..3).map(|n| parent.path().join(format!("{places}-{n}")));
        let dirs: Vec<PathBuf> = dirs.inspect(|dir| std::fs::create_dir(dir).unwrap()).collect();
        Box::new(Cluster::new(3, quick(), on_files(dirs)))
    })
    .await;
}

#[tokio::test]
async fn a_lost_leader_is_replaced_soon() {
    let mut times = Vec::new();
    for _ in 0..5 {
        let (mut cluster, disks) = Cluster::in_memory(3, QuorumOptions::default());
        cluster.found_all().await;
        let (n, _) = cluster.leader().await;
        disks[n].crash();
        drop(cluster.lose(n));
        let begin = Instant::now();
        let (_, next) = cluster.leader().await;
        next.propose(command(vec![admit(1)])).await.unwrap();
        times.push(begin.elapsed());
        cluster.shutdown().await;
    }
    times.sort_unstable();
    assert!(times[2] <= Duration::from_millis(1500), "{times:?}");
}
