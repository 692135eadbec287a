//! The system database while no server runs: looked at, backed up, recovered for one replica, or made anew from a
//! backup. Called by the tools for administrators. A database that any process has open is left alone.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rand::RngCore;

use super::backup::{Backup, BackupError, BackupHead};
use super::{
    EntryContent, LogBounds, LogId, RedbStore, STORE_DIR, STORE_FILE, Store, StoreError,
    StoredSnapshot, Vote,
};
use crate::address::ControlAddress;
use crate::clock::Timestamp;
use crate::command::{Change, Command, DecodeError};
use crate::rank::Rank;
use crate::replica::{RecordedReplicas, Replica, ReplicaId};
use crate::replicate::{chain, seat};
use crate::system::{SnapshotError, System, SystemIdentity, SystemSnapshot};

/// Terms of a recovery, more than there are elections before the next one. See [`term`].
const TERMS: u64 = 1 << 20;
/// Versions of the group map that a recovery leaves out. Engines take a map only when its version is higher than
/// that of the one they have.
const VERSIONS_LEFT_OUT: u32 = 1 << 20;
/// Ranks that a recovery leaves out. See [`recover`].
pub const RANKS_LEFT_OUT: u32 = 1024;
const CHUNK: usize = 256;
const RESTORE_DIR: &str = "control_raft.restore";

/// What is in a system database.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// The file.
    pub path: PathBuf,
    /// The system.
    pub identity: SystemIdentity,
    /// The replica it belongs to; `None` if it never had an id.
    pub replica: Option<ReplicaId>,
    /// What it promised last.
    pub vote: Vote,
    /// Where log and snapshot begin and end.
    pub bounds: LogBounds,
    /// The last set of replicas, committed or not. `None` if a replica alone wrote it.
    pub replicas: Option<RecordedReplicas>,
    /// Nothing has ever happened in it: the replica waited to be added.
    pub unused: bool,
    /// The system after the last entry, committed or not.
    pub summary: SystemSummary,
}

/// A few numbers of a system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemSummary {
    /// The last entry that is part of it.
    pub upto: Option<LogId>,
    /// How many members it has.
    pub members: usize,
    /// The next rank that would be given.
    pub next_rank: Option<Rank>,
    /// Version of the group map.
    pub map_version: u32,
    /// Version of the whole state.
    pub data_version: u64,
    /// Where replicas are wanted.
    pub wanted_replicas: Vec<ControlAddress>,
}

/// Looks into the system database below `parent`.
///
/// # Errors
/// [`StoreError`], for instance that a server has it open.
pub fn inspect(parent: &Path) -> Result<Inspection, StoreError> {
    let store = RedbStore::open(parent, None)?;
    let (system, upto) = replay(&store)?;
    Ok(Inspection {
        path: store.place().to_owned(),
        identity: store.identity().clone(),
        replica: store.replica()?,
        vote: store.vote()?,
        bounds: store.bounds()?,
        replicas: seat::last_replicas(&store)?,
        unused: seat::is_unused(&store)?,
        summary: SystemSummary::of(&system, upto),
    })
}

/// Writes a backup of the system database below `parent` to the new file `to`.
///
/// # Errors
/// When the database cannot be read, is unused, or the file exists or cannot be written.
pub fn back_up(parent: &Path, to: &Path, now: Timestamp) -> Result<Backup, BackupError> {
    let store = RedbStore::open(parent, None)?;
    let (system, upto) = replay(&store)?;
    let Some(upto) = upto else {
        let what = "there is nothing in it to back up".to_owned();
        return Err(BackupError::Unusable { path: store.place().to_owned(), what });
    };
    let data = system.snapshot().encode();
    let (identity, replicas) = (store.identity().clone(), seat::last_replicas(&store)?);
    let head = BackupHead::of(&data, identity, store.replica()?, now, upto, replicas);
    let backup = Backup { head, data };
    backup.write(to)?;
    Ok(backup)
}

/// What a backup holds.
///
/// # Errors
/// When it cannot be used.
pub fn summarise(path: &Path, backup: &Backup) -> Result<SystemSummary, BackupError> {
    let system = read_system(&backup.data)
        .map_err(|error| BackupError::Unusable { path: path.to_owned(), what: chain(&error) })?;
    if *system.identity() != backup.head.system {
        let what = "its content is of another system".to_owned();
        return Err(BackupError::Unusable { path: path.to_owned(), what });
    }
    Ok(SystemSummary::of(&system, Some(backup.head.upto)))
}

/// Makes the replica whose database lies below `parent` the only one of its system, with all of its log. For the
/// case that most replicas are lost for good; whatever only they had committed is lost with them.
///
/// Ranks and map versions that they may have given meanwhile are left out: the next rank is
/// [`RANKS_LEFT_OUT`] higher than the log says. An engine that joined in that time comes back with the rank in
/// its superblock, which is therefore free. Nothing that the lost replicas still say counts afterwards: they
/// learn that they have been removed when they ask.
///
/// # Errors
/// When the database cannot be read or written, or is unused. Repeating it after an error is safe.
pub fn recover(
    parent: &Path,
    me: ControlAddress,
    now: Timestamp,
) -> Result<SystemSummary, StoreError> {
    let store = RedbStore::open(parent, None)?;
    if seat::is_unused(&store)? {
        let what = "nothing has ever happened in it".to_owned();
        return Err(StoreError::Corrupt { path: store.place().to_owned(), what });
    }
    let id = seat::identify(&store, None)?;
    begin_anew(&store, Replica { id, address: me }, now)
}

/// Makes a new system database below `parent` from a backup: a new replica that is the only one of the system.
/// The same ranks and versions are left out as in [`recover`], since the backup may be old.
///
/// # Errors
/// [`StoreError::Exists`] when there is a database, which is then left alone (see [`set_aside`]); else when the
/// backup cannot be used or the database cannot be written. After an error there is none.
pub fn restore(
    parent: &Path,
    from: &Path,
    backup: Backup,
    me: ControlAddress,
    now: Timestamp,
) -> Result<SystemSummary, BackupError> {
    summarise(from, &backup)?;
    let path = RedbStore::path(parent);
    if RedbStore::exists(parent) {
        return Err(StoreError::Exists { path }.into());
    }
    let building = parent.join(RESTORE_DIR);
    let failed = |source| BackupError::Io { path: path.clone(), doing: "restore", source };
    // What is left of an attempt that was cut short was never used.
    clear(&building).and_then(|()| fs::create_dir(&building)).map_err(failed)?;
    let summary = fill(&building, backup, me, now).inspect_err(|_| {
        // The next attempt would remove it too.
        let _ = clear(&building);
    })?;
    let dir = parent.join(STORE_DIR);
    match fs::create_dir(&dir) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => {}
    }
    match fs::hard_link(RedbStore::path(&building), &path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(StoreError::Exists { path }.into());
        }
        linked => linked.map_err(failed)?,
    }
    let sync = |dir: &Path| fs::File::open(dir).and_then(|dir| dir.sync_all());
    sync(&dir).and_then(|()| sync(parent)).and_then(|()| clear(&building)).map_err(failed)?;
    Ok(summary)
}

/// Puts the system database below `parent` aside, under a name that is returned, so that there is none any more.
///
/// # Errors
/// [`StoreError::InUse`] while any process has it open; else when it cannot be renamed.
pub fn set_aside(parent: &Path) -> Result<PathBuf, StoreError> {
    let path = RedbStore::path(parent);
    let failed = |source| StoreError::Io {
        path: path.clone(),
        doing: "set aside",
        source: Box::new(source),
    };
    let _locked = super::file::lock(&path)?;
    let free = (1_u32..).map(|n| path.with_file_name(format!("{STORE_FILE}.aside-{n}")));
    for aside in free {
        match fs::hard_link(&path, &aside) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
            Ok(()) => {
                let dir = parent.join(STORE_DIR);
                let synced = fs::remove_file(&path)
                    .and_then(|()| fs::File::open(dir))
                    .and_then(|dir| dir.sync_all());
                return synced.map(|()| aside).map_err(failed);
            }
        }
    }
    Err(failed(ErrorKind::AlreadyExists.into()))
}

fn fill(
    building: &Path,
    backup: Backup,
    me: ControlAddress,
    now: Timestamp,
) -> Result<SystemSummary, BackupError> {
    let Backup { head, data } = backup;
    let store = RedbStore::create(building, &head.system)?;
    let id = ReplicaId(rand::rng().next_u64().max(1));
    store.save_replica(id)?;
    store.save_snapshot(&StoredSnapshot { upto: head.upto, replicas: head.replicas, data })?;
    Ok(begin_anew(&store, Replica { id, address: me }, now)?)
}

fn begin_anew(store: &dyn Store, me: Replica, now: Timestamp) -> Result<SystemSummary, StoreError> {
    let changes = vec![
        Change::LeaveOut { ranks: RANKS_LEFT_OUT, versions: VERSIONS_LEFT_OUT },
        Change::SetWantedReplicas { addresses: vec![me.address] },
    ];
    let command = Command::new(now, changes).encode();
    seat::sit_alone(store, me, |known| term(known, now), vec![EntryContent::Command(command)])?;
    let (system, upto) = replay(store)?;
    Ok(SystemSummary::of(&system, upto))
}

/// The term in which a replica goes on alone. What was decided before must not count as later, whichever replica decided it and however
/// old the database or the backup is that this one goes on from: so it is of the clock, and higher than every term that is known here.
fn term(known: u64, now: Timestamp) -> u64 {
    let seconds = now.0 / 1_000_000_000;
    known.saturating_add(TERMS).max(seconds.saturating_mul(TERMS))
}

/// The system after the last entry.
fn replay(store: &dyn Store) -> Result<(System, Option<LogId>), StoreError> {
    let path = || store.place().to_owned();
    let unreadable = |what: String, error: DecodeError| match error {
        DecodeError::Newer { found } => {
            StoreError::Newer { path: path(), found, known: Command::VERSION }
        }
        error => StoreError::Corrupt { path: path(), what: format!("{what}: {}", chain(&error)) },
    };
    let (mut system, mut upto) = (System::new(store.identity().clone()), None);
    if let Some(snapshot) = store.snapshot()? {
        upto = Some(snapshot.upto);
        system = read_system(&snapshot.data).map_err(|error| match error {
            SnapshotError::Decode(error) => unreadable("snapshot".to_owned(), error),
            error => StoreError::Corrupt { path: path(), what: chain(&error) },
        })?;
    }
    loop {
        let next = upto.map_or(0, |id| id.index) + 1;
        let chunk = store.entries(next, CHUNK)?;
        if chunk.is_empty() {
            return Ok((system, upto));
        }
        for entry in chunk {
            let place = || format!("log entry {}", entry.id.index);
            let content = EntryContent::decode(entry.payload);
            if let EntryContent::Command(bytes) = content.map_err(|e| unreadable(place(), e))? {
                system.apply(&Command::decode(&bytes).map_err(|e| unreadable(place(), e))?);
            }
            upto = Some(entry.id);
        }
    }
}

fn read_system(data: &[u8]) -> Result<System, SnapshotError> {
    System::from_snapshot(SystemSnapshot::decode(data)?)
}

fn clear(dir: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl SystemSummary {
    fn of(system: &System, upto: Option<LogId>) -> Self {
        Self {
            upto,
            members: system.member_count(),
            next_rank: system.next_rank(),
            map_version: system.map_version(),
            data_version: system.data_version(),
            wanted_replicas: system.wanted_replicas().to_vec(),
        }
    }
}
