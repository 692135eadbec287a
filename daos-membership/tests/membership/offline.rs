//! The system database without a server: inspection, backups, recovery of one replica, restore, kept snapshots.

use std::path::Path;
use std::time::Duration;

use daos_membership::backup::{self, Backup, BackupError, BackupHead};
use daos_membership::conformance::cluster::Cluster;
use daos_membership::conformance::network::MemNetwork;
use daos_membership::conformance::samples::{self, admit, command};
use daos_membership::{
    ControlAddress, Local, LocalOptions, MemDisk, Quorum, QuorumOptions, RedbStore, Replicate,
    Role, Store, StoreError, System, Timestamp, offline,
};

use crate::local::me;

const NOW: Timestamp = Timestamp(7);
const SOON: Duration = Duration::from_secs(30);

fn other() -> ControlAddress {
    "10.9.9.9:10001".parse().unwrap()
}

async fn quorum(dir: &Path, at: ControlAddress) -> Quorum {
    let store = RedbStore::open(dir, None).unwrap();
    let network = MemNetwork::new(0).from(at);
    Quorum::start(Box::new(store), at, network, QuorumOptions::default()).await.unwrap()
}

/// A system of `members` members whose only replica was stopped, and its state.
async fn a_system(dir: &Path, members: u32) -> System {
    let store = RedbStore::create(dir, &samples::identity()).unwrap();
    let network = MemNetwork::new(0).from(me());
    let (wanted, options) = (vec![me(), other()], QuorumOptions::default());
    let founded = Quorum::found(Box::new(store), me(), wanted, NOW, network, options);
    let replica = founded.await.unwrap();
    for n in 1..=members {
        replica.propose(command(vec![admit(n)])).await.unwrap();
        if n == members / 2 {
            replica.snapshot().await.unwrap();
        }
    }
    let state = replica.view().read(Clone::clone);
    replica.shutdown().await;
    state
}

#[tokio::test]
async fn an_inspection_says_what_is_there_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(offline::inspect(dir.path()), Err(StoreError::Missing { .. })));
    let store = RedbStore::create(dir.path(), &samples::identity()).unwrap();
    assert!(matches!(offline::inspect(dir.path()), Err(StoreError::InUse { .. })));
    drop(store);
    assert!(offline::inspect(dir.path()).unwrap().unused);
    std::fs::remove_dir_all(dir.path().join("control_raft")).unwrap();

    let state = a_system(dir.path(), 6).await;
    let (first, again) =
        (offline::inspect(dir.path()).unwrap(), offline::inspect(dir.path()).unwrap());
    assert_eq!(first.summary, again.summary);
    assert!(!first.unused);
    assert_eq!(first.identity, samples::identity());
    assert_eq!(first.summary.members, 6);
    assert_eq!(first.summary.next_rank, state.next_rank());
    assert_eq!(first.summary.map_version, state.map_version());
    assert_eq!(first.summary.wanted_replicas, [me(), other()]);
    let set = first.replicas.unwrap().set;
    assert!(set.is_lone_voter(first.replica.unwrap()));
    assert_eq!(set.voting()[0].address, me());
}

#[tokio::test]
async fn a_restored_system_goes_on_under_a_new_replica_and_gives_no_rank_twice() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let state = a_system(old.path(), 6).await;
    let file = old.path().join("saved");
    let written = offline::back_up(old.path(), &file, NOW).unwrap();
    assert!(matches!(offline::back_up(old.path(), &file, NOW), Err(BackupError::Exists { .. })));
    let read = Backup::read(&file).unwrap();
    assert_eq!(read, written);
    let before = offline::summarise(&file, &read).unwrap();
    assert_eq!(before.next_rank, state.next_rank());

    let refused = offline::restore(old.path(), &file, read.clone(), other(), NOW).unwrap_err();
    assert!(matches!(refused, BackupError::Store(StoreError::Exists { .. })), "{refused}");
    let after = offline::restore(new.path(), &file, read, other(), NOW).unwrap();
    assert!(after.map_version > before.map_version && after.data_version > before.data_version);
    let (next, was) = (after.next_rank.unwrap(), before.next_rank.unwrap());
    assert_eq!(next.get(), was.get() + offline::RANKS_LEFT_OUT);

    let found = offline::inspect(new.path()).unwrap();
    assert_ne!(found.replica, offline::inspect(old.path()).unwrap().replica);
    assert_eq!(found.identity, samples::identity(), "it is the same system");
    let replica = quorum(new.path(), other()).await;
    assert!(matches!(replica.role().borrow().role, Role::Leader));
    let restored = replica.view().read(Clone::clone);
    assert!(restored.members().eq(state.members()));
    assert_eq!(restored.wanted_replicas(), [other()]);
    replica.shutdown().await;
}

#[tokio::test]
async fn one_replica_of_three_is_recovered_and_the_others_learn_that_they_are_out() {
    let dir = tempfile::tempdir().unwrap();
    let (disks, file) = ([MemDisk::default(), MemDisk::default()], dir.path().to_owned());
    let open = move |n: usize| -> Box<dyn Store> {
        match n.checked_sub(1) {
            Some(n) => Box::new(disks[n].open(samples::identity())),
            None if RedbStore::exists(&file) => Box::new(RedbStore::open(&file, None).unwrap()),
            None => Box::new(RedbStore::create(&file, &samples::identity()).unwrap()),
        }
    };
    let mut cluster = Cluster::new(3, QuorumOptions::default(), Box::new(open));
    let leader = cluster.found_all().await;
    leader.propose(command((1..=4).map(admit).collect())).await.unwrap();
    let state = leader.view().read(Clone::clone);
    cluster.shutdown().await;

    let alone = RedbStore::open(dir.path(), None).unwrap();
    let refused = Local::start(Box::new(alone), me(), LocalOptions::default()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Shared { voters: 3, .. }), "{refused}");
    let before = offline::inspect(dir.path()).unwrap();
    let after = offline::recover(dir.path(), Cluster::address(0), NOW).unwrap();
    assert_eq!(after.members, 4);
    assert_eq!(after.next_rank.unwrap().get(), state.next_rank().unwrap().get() + 1024);
    let found = offline::inspect(dir.path()).unwrap();
    assert_eq!(found.replica, before.replica, "its log is its own");
    assert_eq!(found.replicas.unwrap().set.voting().len(), 1);

    let recovered = cluster.start(0).await;
    recovered.confirm_leadership(SOON).await.unwrap();
    assert!(recovered.view().read(|system| system.members().eq(state.members())));
    let term = recovered.role().borrow().term;
    let lost = cluster.start(1).await;
    let mut role = lost.role();
    let removed = role.wait_for(|info| matches!(info.role, Role::Removed));
    tokio::time::timeout(SOON, removed).await.expect("it asks and is told").unwrap();
    recovered.propose(command(vec![admit(5)])).await.unwrap();
    assert_eq!(recovered.role().borrow().term, term, "it disturbs nobody");
    cluster.shutdown().await;
}

/// However often there was a recovery since the backup: what an administrator did last counts.
#[tokio::test]
async fn what_is_restored_last_is_later_than_everything_before() {
    const SECOND: u64 = 1_000_000_000;
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    a_system(old.path(), 2).await;
    let file = old.path().join("saved");
    let backup = offline::back_up(old.path(), &file, NOW).unwrap();
    for turn in 1..=5 {
        offline::recover(old.path(), me(), Timestamp(NOW.0 + turn * SECOND)).unwrap();
    }
    let at = |dir: &std::path::Path| offline::inspect(dir).unwrap().replicas.unwrap().at;
    offline::restore(new.path(), &file, backup, other(), Timestamp(NOW.0 + 6 * SECOND)).unwrap();
    assert!(at(new.path()) > at(old.path()));
    // A clock that goes back does not make it earlier than what is in the database itself.
    let before = at(old.path());
    offline::recover(old.path(), me(), Timestamp(0)).unwrap();
    assert!(at(old.path()) > before);
}

#[test]
fn nothing_is_recovered_from_an_unused_database() {
    let dir = tempfile::tempdir().unwrap();
    drop(RedbStore::create(dir.path(), &samples::identity()).unwrap());
    assert!(offline::recover(dir.path(), me(), NOW).is_err());
    assert!(offline::back_up(dir.path(), &dir.path().join("b"), NOW).is_err());
    assert!(offline::inspect(dir.path()).unwrap().unused, "it was left as it was");
}

#[tokio::test]
async fn a_damaged_backup_restores_nothing() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    a_system(old.path(), 2).await;
    let file = old.path().join("saved");
    offline::back_up(old.path(), &file, NOW).unwrap();
    let whole = std::fs::read(&file).unwrap();
    for damage in [whole.len() - 1, whole.len() / 2, 3] {
        let mut bytes = whole.clone();
        bytes[damage] ^= 0x20;
        std::fs::write(&file, &bytes).unwrap();
        assert!(Backup::read(&file).is_err(), "byte {damage}");
    }
    std::fs::write(&file, &whole[..whole.len() - 10]).unwrap();
    assert!(matches!(Backup::read(&file), Err(BackupError::Unusable { .. })));
    let later = String::from_utf8(whole.clone()).unwrap().replacen("\"v\":1", "\"v\":2", 1);
    std::fs::write(&file, later).unwrap();
    assert!(matches!(Backup::read(&file), Err(BackupError::Newer { found: 2, .. })));
    std::fs::write(&file, &whole).unwrap();
    let mut backup = Backup::read(&file).unwrap();
    backup.data.truncate(backup.data.len() / 2);
    assert!(offline::restore(new.path(), &file, backup, me(), NOW).is_err());
    assert!(!RedbStore::exists(new.path()));
}

#[tokio::test]
async fn the_last_snapshots_are_kept_as_files_and_can_be_restored() {
    let (dir, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = RedbStore::create(dir.path(), &samples::identity()).unwrap();
    let local = Local::start(Box::new(store), me(), LocalOptions::default()).await.unwrap();
    assert_eq!(backup::kept(dir.path()).unwrap().len(), 0);
    for n in 1..=7 {
        local.propose(command(vec![admit(n)])).await.unwrap();
        local.snapshot().await.unwrap();
    }
    local.shutdown().await;
    let kept = backup::kept(dir.path()).unwrap();
    let heads: Vec<&BackupHead> = kept.iter().map(|(_, head)| head.as_ref().unwrap()).collect();
    let places: Vec<u64> = heads.iter().map(|head| head.upto.index).collect();
    assert_eq!(places, [7, 6, 5, 4, 3], "the newest first, no more than {}", backup::KEPT);
    let (path, _) = &kept[1];
    let read = Backup::read(path).unwrap();
    let summary = offline::restore(new.path(), path, read, me(), NOW).unwrap();
    assert_eq!(summary.members, 6);
    let replica = quorum(new.path(), me()).await;
    replica.propose(command(vec![admit(7)])).await.unwrap();
    replica.shutdown().await;
    RedbStore::remove(dir.path()).unwrap();
    assert!(!dir.path().join("control_raft").exists(), "they go with the system");
}

#[test]
fn a_database_is_put_aside_unless_it_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(offline::set_aside(dir.path()), Err(StoreError::Missing { .. })));
    for _ in 0..2 {
        let store = RedbStore::create(dir.path(), &samples::identity()).unwrap();
        assert!(matches!(offline::set_aside(dir.path()), Err(StoreError::InUse { .. })));
        let place = store.place().to_owned();
        drop(store);
        let aside = offline::set_aside(dir.path()).unwrap();
        assert!(aside.exists() && !place.exists(), "{}", aside.display());
        assert!(!RedbStore::exists(dir.path()));
    }
}
