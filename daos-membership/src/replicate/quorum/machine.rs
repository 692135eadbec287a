//! The library's state machine over our system: it applies, stores snapshots and starts again from them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::storage::RaftStateMachine;
use openraft::{
    EntryPayload, RaftSnapshotBuilder, Snapshot, SnapshotMeta, StorageError, StoredMembership,
};
use tokio::sync::Notify;

use super::disk::{Disk, DiskError};
use super::types::{
    Proposal, RaftEntry, RaftLogId, RaftMembership, Seat, SnapshotContent, Types, from_raft_id,
    raft_id, recorded, stored_membership,
};
use crate::command::Applied;
use crate::replica::ReplicaId;
use crate::replicate::{SystemCell, chain};
use crate::store::StoredSnapshot;
use crate::system::{SnapshotError, System, SystemSnapshot};

type Outcome<T> = Result<T, StorageError<ReplicaId>>;
type Meta = SnapshotMeta<ReplicaId, Seat>;

/// The applied state of a replica, as the library sees it.
#[derive(Debug)]
pub struct Machine {
    disk: Arc<Disk>,
    cell: Arc<SystemCell>,
    growth: Arc<Growth>,
    applied: Option<RaftLogId>,
    replicas: RaftMembership,
}

/// How much log has come since the last snapshot. A snapshot is due when the log has enough entries and has
/// become as large as that snapshot, so that snapshots cost no more than the log itself.
#[derive(Debug)]
pub struct Growth {
    snapshot_after: u64,
    since: Mutex<Since>,
    due: Notify,
}

#[derive(Debug, Default)]
struct Since {
    entries: u64,
    bytes: usize,
    snapshot_bytes: usize,
}

impl Growth {
    pub(super) fn new(snapshot_after: u64) -> Self {
        Self { snapshot_after, since: Mutex::default(), due: Notify::new() }
    }

    /// Waits until a snapshot is due.
    pub(super) async fn due(&self) {
        self.due.notified().await;
    }

    fn grow(&self, entries: u64, bytes: usize) {
        let mut since = self.since();
        since.entries += entries;
        since.bytes += bytes;
        if since.entries >= self.snapshot_after && since.bytes >= since.snapshot_bytes {
            self.due.notify_one();
        }
    }

    fn begin(&self) {
        let mut since = self.since();
        (since.entries, since.bytes) = (0, 0);
    }

    fn stored(&self, bytes: usize) {
        self.since().snapshot_bytes = bytes;
    }

    fn since(&self) -> MutexGuard<'_, Since> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Machine {
    /// Starts from the stored snapshot, or with an empty system.
    pub(super) async fn open(
        disk: Arc<Disk>,
        growth: Arc<Growth>,
    ) -> Result<(Self, Arc<SystemCell>), DiskError> {
        let stored = disk.read(|store| store.snapshot()).await?;
        let (mut applied, mut replicas) = (None, StoredMembership::default());
        let mut system = System::new(disk.identity().clone());
        if let Some(StoredSnapshot { upto, replicas: recorded, data }) = stored {
            growth.stored(data.len());
            disk.note_snapshot(upto.index);
            system = read_system(&disk, &data)?;
            applied = Some(raft_id(upto));
            replicas = recorded.as_ref().map(stored_membership).unwrap_or_default();
        }
        let cell = Arc::new(SystemCell::new(system));
        Ok((Self { disk, cell: Arc::clone(&cell), growth, applied, replicas }, cell))
    }

    fn apply_command(&self, id: RaftLogId, proposal: &Proposal) -> Result<Applied, DiskError> {
        proposal.with_command(|command| self.cell.apply(command)).map_err(|error| {
            let what = format!("log entry {}", from_raft_id(id).index);
            self.disk.unreadable(&what, error)
        })
    }

    fn meta(&self) -> Meta {
        meta_of(self.applied, self.replicas.clone())
    }
}

fn meta_of(last_log_id: Option<RaftLogId>, last_membership: RaftMembership) -> Meta {
    let id = last_log_id.map(from_raft_id);
    let snapshot_id = id.map_or_else(String::new, |id| format!("{}-{}", id.term, id.index));
    SnapshotMeta { last_log_id, last_membership, snapshot_id }
}

fn read_system(disk: &Disk, data: &[u8]) -> Result<System, DiskError> {
    let snapshot = SystemSnapshot::decode(data).map_err(SnapshotError::from);
    let system = snapshot.and_then(System::from_snapshot).map_err(|error| match error {
        SnapshotError::Decode(error) => disk.unreadable("snapshot", error),
        other @ SnapshotError::Inconsistent(_) => {
            disk.corrupt(format!("snapshot: {}", chain(&other)))
        }
    })?;
    match system.identity().uuid == disk.identity().uuid {
        true => Ok(system),
        false => Err(disk.corrupt(format!("its snapshot is of {}", system.identity().uuid))),
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Outcome<(Option<RaftLogId>, RaftMembership)> {
        Ok((self.applied, self.replicas.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Outcome<Vec<Option<Applied>>>
    where
        I: IntoIterator<Item = RaftEntry> + Send,
        I::IntoIter: Send,
    {
        let mut answers = Vec::new();
        let mut bytes = 0;
        for RaftEntry { log_id, payload } in entries {
            let mut answer = None;
            match payload {
                EntryPayload::Normal(proposal) => {
                    bytes += proposal.bytes().len();
                    let applied = self.apply_command(log_id, &proposal);
                    answer = Some(applied.map_err(|error| error.fatal())?);
                }
                EntryPayload::Membership(replicas) => {
                    self.replicas = StoredMembership::new(Some(log_id), replicas);
                }
                EntryPayload::Blank => {}
            }
            self.applied = Some(log_id);
            answers.push(answer);
        }
        self.growth.grow(answers.len() as u64, bytes);
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        self.growth.begin();
        Builder {
            disk: Arc::clone(&self.disk),
            growth: Arc::clone(&self.growth),
            system: self.cell.view().read(System::snapshot),
            meta: self.meta(),
        }
    }

    async fn begin_receiving_snapshot(&mut self) -> Outcome<Box<SnapshotContent>> {
        Ok(Box::new(SnapshotContent::Received(Vec::new())))
    }

    async fn install_snapshot(
        &mut self,
        meta: &Meta,
        snapshot: Box<SnapshotContent>,
    ) -> Outcome<()> {
        let content = snapshot.load(meta).await.map_err(|error| error.fatal())?;
        let Some(StoredSnapshot { data, .. }) = content else { return Ok(()) };
        let system = read_system(&self.disk, &data).map_err(|error| error.fatal())?;
        let (size, replicas) = (data.len(), Some(recorded(&meta.last_membership)));
        if let Some(upto) = meta.last_log_id.map(from_raft_id) {
            let stored = StoredSnapshot { upto, replicas, data };
            let saved = self.disk.read(move |store| store.save_snapshot(&stored)).await;
            saved.map_err(|error| error.fatal())?;
            self.disk.note_snapshot(upto.index);
        }
        self.growth.begin();
        self.growth.stored(size);
        self.cell.replace(system);
        (self.applied, self.replicas) = (meta.last_log_id, meta.last_membership.clone());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Outcome<Option<Snapshot<Types>>> {
        let head = self.disk.read(|store| store.snapshot_head()).await;
        let Some((upto, replicas)) = head.map_err(|error| error.fatal())? else { return Ok(None) };
        let replicas = replicas.as_ref().map(stored_membership).unwrap_or_default();
        let snapshot = Box::new(SnapshotContent::Stored(Arc::clone(&self.disk)));
        Ok(Some(Snapshot { meta: meta_of(Some(raft_id(upto)), replicas), snapshot }))
    }
}

/// Stores one snapshot, while the log goes on. Making it has copied no member, only references to them.
#[derive(Debug)]
pub struct Builder {
    disk: Arc<Disk>,
    growth: Arc<Growth>,
    system: SystemSnapshot,
    meta: Meta,
}

impl RaftSnapshotBuilder<Types> for Builder {
    async fn build_snapshot(&mut self) -> Outcome<Snapshot<Types>> {
        let (system, replicas) = (self.system.clone(), recorded(&self.meta.last_membership));
        if let Some(upto) = self.meta.last_log_id.map(from_raft_id) {
            let size = self
                .disk
                .read(move |store| {
                    let data = system.encode();
                    let size = data.len();
                    let replicas = Some(replicas);
                    store.save_snapshot(&StoredSnapshot { upto, replicas, data })?;
                    Ok(size)
                })
                .await;
            self.growth.stored(size.map_err(|error| error.fatal())?);
            self.disk.note_snapshot(upto.index);
        }
        let snapshot = Box::new(SnapshotContent::Stored(Arc::clone(&self.disk)));
        Ok(Snapshot { meta: self.meta.clone(), snapshot })
    }
}
