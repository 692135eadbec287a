//! The replica that is alone: every command is durable in its own log, and it leads at once.
//!
//! It writes the same tables as a member of a quorum would, with term 1, so that replicas can be added later.
//! When its storage fails it stops for good: what was half written is known only after a restart.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use super::{
    ReplicasError, ReplicasStatus, Replicate, ReplicateError, Role, RoleInfo, SystemCell,
    SystemView, chain, run,
};
use crate::address::ControlAddress;
use crate::command::{Applied, Command, DecodeError};
use crate::replica::{RecordedReplicas, Replica, ReplicaId, ReplicaSet};
use crate::store::{EntryContent, LogEntry, LogId, Store, StoreError, StoredSnapshot, Vote};
use crate::system::{SnapshotError, System, SystemSnapshot};

/// Entries read at a time when the log is replayed.
const REPLAY_CHUNK: usize = 256;
/// The only term there is when nobody votes.
const TERM: u64 = 1;

/// How a [`Local`] replica works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalOptions {
    /// Entries after which the log is replaced by a snapshot, at the earliest. It also has to be as large as
    /// the last snapshot was, so that snapshots cost no more than the log itself, however large the system.
    pub snapshot_after: u64,
}

impl Default for LocalOptions {
    fn default() -> Self {
        Self { snapshot_after: 1024 }
    }
}

/// The only replica of its system.
#[derive(Debug)]
pub struct Local {
    shared: Arc<Shared>,
    me: Replica,
    blocks: bool,
}

#[derive(Debug)]
struct Shared {
    cell: SystemCell,
    role: watch::Sender<RoleInfo>,
    /// Held from the write of an entry until it is applied, so that both happen in the same order.
    log: Mutex<Log>,
}

#[derive(Debug)]
struct Log {
    /// `None` after shutdown.
    store: Option<Box<dyn Store>>,
    failed: Option<Arc<StoreError>>,
    last: LogId,
    /// The last entry that the stored snapshot holds.
    snapshot: Option<LogId>,
    /// Entries and bytes since the last snapshot, and the size of that.
    entries: u64,
    bytes: usize,
    snapshot_bytes: usize,
    options: LocalOptions,
}

impl Local {
    /// Starts on a store: reads its snapshot and replays its log. It leads when this returns.
    ///
    /// # Errors
    /// When the store cannot be read, or holds what this version does not understand.
    pub async fn start(
        store: Box<dyn Store>,
        me: ControlAddress,
        options: LocalOptions,
    ) -> Result<Self, StoreError> {
        let blocks = store.blocks();
        run(blocks, move || Self::recover(store, me, options)).await.unwrap_or_else(|| {
            Err(StoreError::Io {
                path: "system database".into(),
                doing: "open",
                source: Box::new(ReplicateError::Stopped),
            })
        })
    }

    fn recover(
        store: Box<dyn Store>,
        me: ControlAddress,
        options: LocalOptions,
    ) -> Result<Self, StoreError> {
        let blocks = store.blocks();
        let vote = store.vote()?;
        let term = vote.term.max(TERM);
        if !vote.committed || vote.term != term {
            store.save_vote(Vote { term, voted_for: None, committed: true })?;
        }
        // A store without an id belongs to a replica that never had anybody to tell it to.
        let me = Replica { id: store.replica()?.unwrap_or_default(), address: me };
        let (system, log) = replay(store, term, options)?;
        let (address, leader) = (me.address, Some(me.address));
        let replicas = vec![address];
        let role = RoleInfo { role: Role::Leader, term, me: address, leader, replicas };
        let (role, _) = watch::channel(role);
        let shared = Shared { cell: SystemCell::new(system), role, log: Mutex::new(log) };
        Ok(Self { shared: Arc::new(shared), me, blocks })
    }
}

fn replay(
    store: Box<dyn Store>,
    term: u64,
    options: LocalOptions,
) -> Result<(System, Log), StoreError> {
    let corrupt = |what: String| StoreError::Corrupt { path: store.place().to_owned(), what };
    let newer =
        |found: u16, known: u16| StoreError::Newer { path: store.place().to_owned(), found, known };
    let (mut system, mut last, mut snapshot_bytes) = (System::new(store.identity().clone()), 0, 0);
    let (mut held, mut replicas) = (None, None);
    if let Some(StoredSnapshot { upto, data, replicas: recorded }) = store.snapshot()? {
        (held, replicas) = (Some(upto), recorded.map(|recorded| recorded.set));
        let snapshot = SystemSnapshot::decode(&data).map_err(SnapshotError::from);
        system = snapshot.and_then(System::from_snapshot).map_err(|error| match error {
            SnapshotError::Decode(DecodeError::Newer { found }) => {
                newer(found, SystemSnapshot::VERSION)
            }
            other => corrupt(format!("snapshot at entry {}: {}", upto.index, chain(&other))),
        })?;
        (last, snapshot_bytes) = (upto.index, data.len());
    }
    if system.identity().uuid != store.identity().uuid {
        return Err(corrupt(format!("its snapshot is of system {}", system.identity().uuid)));
    }
    let (mut entries, mut bytes) = (0, 0);
    loop {
        let chunk = store.entries(last + 1, REPLAY_CHUNK)?;
        let Some(end) = chunk.last().map(|entry| entry.id.index) else { break };
        for LogEntry { id, payload } in &chunk {
            if id.index != last + 1 {
                return Err(corrupt(format!("log entry {} is missing", last + 1)));
            }
            let unreadable = |error| match error {
                DecodeError::Newer { found } => newer(found, Command::VERSION),
                other => corrupt(format!("log entry {}: {}", id.index, chain(&other))),
            };
            match EntryContent::decode(payload.clone()).map_err(unreadable)? {
                EntryContent::Command(bytes) => {
                    system.apply(&Command::decode(&bytes).map_err(unreadable)?);
                }
                EntryContent::Replicas(set) => replicas = Some(set),
                EntryContent::Blank => {}
            }
            last = id.index;
            bytes += payload.len();
        }
        entries += chunk.len() as u64;
        debug_assert_eq!(end, last);
    }
    let voters = replicas.as_ref().map_or(0, |set: &ReplicaSet| set.voting().len());
    if voters > 1 {
        return Err(StoreError::Shared { path: store.place().to_owned(), voters });
    }
    let last = LogId { term, index: last };
    let (store, snapshot) = (Some(store), held);
    let log = Log { store, failed: None, last, snapshot, entries, bytes, snapshot_bytes, options };
    Ok((system, log))
}

impl Shared {
    fn with_log<T>(&self, work: impl FnOnce(&mut Log) -> T) -> T {
        work(&mut self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn commit(&self, command: &Command) -> Result<Applied, ReplicateError> {
        self.with_log(|log| {
            self.trusted(log, |log, store| {
                let id = LogId { index: log.last.index + 1, ..log.last };
                let entry = LogEntry { id, payload: command.encode() };
                store.append(std::slice::from_ref(&entry))?;
                log.last = id;
                log.entries += 1;
                log.bytes += entry.payload.len();
                Ok(())
            })?;
            let applied = self.cell.apply(command);
            if log.entries >= log.options.snapshot_after && log.bytes >= log.snapshot_bytes {
                // The command is durable whatever becomes of the snapshot.
                let _ = self.store_snapshot(log);
            }
            Ok(applied)
        })
    }

    fn store_snapshot(&self, log: &mut Log) -> Result<(), ReplicateError> {
        let data = self.cell.view().read(System::snapshot).encode();
        let size = data.len();
        self.trusted(log, |log, store| {
            let upto = log.last;
            store.save_snapshot(&StoredSnapshot { upto, replicas: None, data })?;
            store.purge(upto)?;
            (log.snapshot, log.entries, log.bytes, log.snapshot_bytes) = (Some(upto), 0, 0, size);
            Ok(())
        })
    }

    /// Works with the store unless it has failed before; if it fails now, that was the last time.
    fn trusted<T>(
        &self,
        log: &mut Log,
        work: impl FnOnce(&mut Log, &dyn Store) -> Result<T, StoreError>,
    ) -> Result<T, ReplicateError> {
        if let Some(cause) = &log.failed {
            return Err(ReplicateError::Failed(Arc::clone(cause)));
        }
        let store = log.store.take().ok_or(ReplicateError::Stopped)?;
        let result = work(log, &*store);
        log.store = Some(store);
        result.map_err(|error| {
            tracing::error!(error = chain(&error), "system database failed, replica stops");
            let cause = Arc::new(error);
            log.failed = Some(Arc::clone(&cause));
            self.set_role(Role::Failed(Arc::clone(&cause)));
            ReplicateError::Failed(cause)
        })
    }

    fn set_role(&self, role: Role) {
        self.role.send_modify(|info| {
            info.role = role;
            info.leader = None;
        });
    }
}

#[async_trait]
impl Replicate for Local {
    async fn propose(&self, command: Command) -> Result<Applied, ReplicateError> {
        let shared = Arc::clone(&self.shared);
        let done = run(self.blocks, move || shared.commit(&command)).await;
        done.unwrap_or(Err(ReplicateError::Stopped))
    }

    fn role(&self) -> watch::Receiver<RoleInfo> {
        self.shared.role.subscribe()
    }

    async fn confirm_leadership(&self, _within: Duration) -> Result<(), ReplicateError> {
        // Nobody else can have been elected.
        self.shared.role.borrow().check_leader()
    }

    fn view(&self) -> SystemView {
        self.shared.cell.view()
    }

    async fn snapshot(&self) -> Result<(), ReplicateError> {
        let shared = Arc::clone(&self.shared);
        let done =
            run(self.blocks, move || shared.with_log(|log| shared.store_snapshot(log))).await;
        done.unwrap_or(Err(ReplicateError::Stopped))
    }

    fn replicas(&self) -> ReplicasStatus {
        let info = self.shared.role.borrow().clone();
        let (last, snapshot) = self.shared.with_log(|log| (log.last, log.snapshot));
        let last = Some(last).filter(|last| last.index > 0);
        let set = ReplicaSet::alone(self.me);
        ReplicasStatus {
            me: self.me,
            leader: info.leader.map(|_| self.me),
            info,
            replicas: RecordedReplicas { at: None, set },
            changing: false,
            last_log: last,
            applied: last,
            snapshot,
            progress: BTreeMap::new(),
            leader_heard: None,
        }
    }

    async fn add_learner(&self, _replica: Replica) -> Result<(), ReplicasError> {
        Err(ReplicasError::Alone)
    }

    async fn change_voters(
        &self,
        _add: &[ReplicaId],
        _remove: &[ReplicaId],
        _within: Duration,
    ) -> Result<(), ReplicasError> {
        Err(ReplicasError::Alone)
    }

    fn give_way(&self, _reason: &str) -> Result<(), ReplicasError> {
        Err(ReplicasError::Alone)
    }

    async fn shutdown(&self) {
        let shared = Arc::clone(&self.shared);
        let closed = run(self.blocks, move || {
            let store = shared.with_log(|log| log.store.take());
            drop(store);
            shared.set_role(Role::Stopped);
        });
        closed.await;
    }
}
