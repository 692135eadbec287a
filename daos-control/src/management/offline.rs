//! The system database of this host while its server is stopped: looked at, backed up, recovered, restored.
//!
//! Used by `daos_server ms`. Everything that changes it is planned first; the store's own lock keeps a running server
//! away. Must not print.

use std::path::{Path, PathBuf};

use daos_membership::backup::{Backup, BackupHead, kept};
use daos_membership::offline::{self, Inspection, RANKS_LEFT_OUT, SystemSummary};
use daos_membership::{Clock as _, ControlAddress, Quorum, RedbStore, Replica, SystemClock};
use uuid::Uuid;

use super::network::ReplicaHosts;
use super::replica::Replicas;
use crate::client::ReplicaKind;
use crate::config::ServerConfig;
use crate::fault::{Fault, code};
use crate::superblock::{self, EngineHome, SuperblockState};

/// Where a host keeps its system database.
#[derive(Debug, Clone)]
pub struct OfflineReplica {
    /// The directory in which the database has its own.
    directory: PathBuf,
    /// The system of engine 0's superblock.
    system: Option<Uuid>,
    /// Address of this host among the configured replicas.
    own: Option<ControlAddress>,
}

/// A snapshot that the server kept by itself, or why it is none.
pub type Kept = (PathBuf, Result<BackupHead, Fault>);

/// What a recovery would do.
#[derive(Debug, Clone)]
pub struct RecoveryPlan {
    /// The database as it is.
    pub now: Inspection,
    /// The replica that would be the only one.
    pub me: Replica,
    /// The others that vote now, which would be lost.
    pub lost: Vec<Replica>,
    /// Ranks that are left out, since the others may have given them.
    pub ranks_left_out: u32,
}

/// What a restore would do.
#[derive(Debug, Clone)]
pub struct RestorePlan {
    /// The backup.
    pub from: PathBuf,
    /// What it says of itself.
    pub head: BackupHead,
    /// What is in it.
    pub summary: SystemSummary,
    /// Address of the only replica afterwards.
    pub me: ControlAddress,
    /// The replicas that backup and database name at other hosts. They are none any more afterwards.
    pub others: Vec<Replica>,
    /// The database that is there now and would be set aside.
    pub replaces: Option<PathBuf>,
    /// Ranks that are left out, since they may have been given since.
    pub ranks_left_out: u32,
    backup: Backup,
}

impl OfflineReplica {
    /// That of the host with this configuration.
    ///
    /// # Errors
    /// Fault 1397 when the storage of engine 0 is not there, 705 for replicas that do not resolve.
    pub fn of(config: &ServerConfig) -> Result<Self, Fault> {
        let engine = config.engines.iter().find(|engine| engine.index == 0);
        let engine = engine.ok_or_else(|| {
            refused("no engine is configured, and the system database lies with engine 0")
        })?;
        let metadata = config.control_metadata.as_ref().map(|metadata| metadata.path.as_path());
        let home = EngineHome::of(0, engine.scm.mount(), metadata);
        let path = home.superblock();
        let system = match superblock::load(&path) {
            SuperblockState::Readable(superblock) => superblock.system_uuid,
            SuperblockState::Unreadable(error) => return Err(error.to_fault(&path)),
            SuperblockState::Missing => {
                return Err(refused(&format!(
                    "the storage of engine 0 is not formatted or not mounted: there is no {}",
                    path.display()
                )));
            }
        };
        let database = home.system_database();
        let directory = database.parent().map(Path::to_path_buf).unwrap_or_default();
        let replicas = Replicas::resolve(&config.replicas, config.port)?;
        let own = replicas.own_address().map(|own| ControlAddress::new(own.into()));
        Ok(Self { directory, system, own })
    }

    /// What is in the database.
    ///
    /// # Errors
    /// Fault 1294 while a server runs; else when there is none or it cannot be read.
    pub fn inspect(&self) -> Result<Inspection, Fault> {
        Ok(offline::inspect(&self.directory)?)
    }

    /// The snapshots that the server kept, the newest first.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn kept(&self) -> Result<Vec<Kept>, Fault> {
        let found = kept(&self.directory).map_err(Fault::from)?;
        Ok(found.into_iter().map(|(path, head)| (path, head.map_err(Fault::from))).collect())
    }

    /// Writes the whole system to a new file.
    ///
    /// # Errors
    /// As [`OfflineReplica::inspect`], or that the file exists or cannot be written.
    pub fn back_up(&self, to: &Path) -> Result<BackupHead, Fault> {
        Ok(offline::back_up(&self.directory, to, SystemClock.now())?.head)
    }

    /// What [`OfflineReplica::recover`] would do. `address` is for a host that the configuration does not list.
    ///
    /// # Errors
    /// As [`OfflineReplica::inspect`]; fault 1397 for a database that never took part, or of a replica that is alone.
    pub fn plan_recovery(&self) -> Result<RecoveryPlan, Fault> {
        let now = self.inspect()?;
        if now.unused {
            return Err(refused(
                "this replica never had a copy of the system, so it cannot go on from it",
            ));
        }
        let seat = Quorum::seat_of(&RedbStore::open(&self.directory, self.system)?)?;
        let address = seat.map(|seat| seat.address).or(self.own);
        let me = Replica {
            id: now.replica.unwrap_or_default(),
            address: address.ok_or_else(|| self.unknown_address())?,
        };
        if now.replicas.as_ref().is_some_and(|known| known.set.is_lone_voter(me.id)) {
            return Err(refused(
                "this replica is the only one already, so there is nothing to recover",
            ));
        }
        let voting = now.replicas.as_ref().map(|known| known.set.voting()).unwrap_or_default();
        let lost = voting.into_iter().filter(|replica| replica.id != me.id).collect();
        Ok(RecoveryPlan { now, me, lost, ranks_left_out: RANKS_LEFT_OUT })
    }

    /// Makes sure that these other replicas have no leader: a system that works is neither to be recovered nor restored.
    ///
    /// # Errors
    /// Fault 1397 naming the hosts that have one.
    pub async fn others_are_lost(
        &self,
        others: &[Replica],
        hosts: &ReplicaHosts,
    ) -> Result<(), Fault> {
        let mut alive = Vec::new();
        for other in others {
            let Ok(status) = hosts.status(other.address).await else { continue };
            let same =
                status.system.is_some() && (self.system.is_none() || self.system == status.system);
            if same && status.kind == ReplicaKind::Running && !status.leader.is_empty() {
                alive.push(format!("{} (led by {})", other.address, status.leader));
            }
        }
        match alive.is_empty() {
            true => Ok(()),
            false => Err(Fault::new(
                "server",
                code::REPLICA_OFFLINE,
                format!("the system works without this replica: {}", alive.join(", ")),
                "start this server again and change replicas with 'dmg system ms add' and 'remove'; for a restore, stop \
                 the other servers first",
            )),
        }
    }

    /// Makes the replica of this host the only one.
    ///
    /// # Errors
    /// When the database cannot be written; repeating it is safe.
    pub fn recover(&self, plan: &RecoveryPlan) -> Result<SystemSummary, Fault> {
        Ok(offline::recover(&self.directory, plan.me.address, SystemClock.now())?)
    }

    /// What [`OfflineReplica::restore`] would do with a backup.
    ///
    /// # Errors
    /// When the backup cannot be used, is of another system than engine 0's storage, or a server runs.
    pub fn plan_restore(&self, from: &Path) -> Result<RestorePlan, Fault> {
        let backup = Backup::read(from).map_err(Fault::from)?;
        let summary = offline::summarise(from, &backup).map_err(Fault::from)?;
        let theirs = backup.head.system.uuid;
        if let Some(own) = self.system.filter(|own| *own != theirs) {
            return Err(Fault::new(
                "system",
                code::STORE_FOREIGN,
                format!(
                    "backup {} is of system {theirs}, the storage of engine 0 belongs to system {own}",
                    from.display()
                ),
                "use a backup of the system that this host belongs to",
            ));
        }
        let replaces = RedbStore::exists(&self.directory).then(|| RedbStore::path(&self.directory));
        // A damaged database is a reason to restore; one that is in use is none.
        let held = match replaces.is_some().then(|| offline::inspect(&self.directory)) {
            Some(Err(in_use @ daos_membership::StoreError::InUse { .. })) => {
                return Err(in_use.into());
            }
            Some(Ok(inspection)) => inspection.replicas,
            _ => None,
        };
        let me = self.own.ok_or_else(|| self.unknown_address())?;
        let known = [backup.head.replicas.clone(), held].into_iter().flatten();
        let mut others: Vec<Replica> = known.flat_map(|known| known.set.voting()).collect();
        others.retain(|replica| replica.address != me);
        others.sort_by_key(|replica| (replica.address, replica.id));
        others.dedup();
        let (head, from) = (backup.head.clone(), from.to_owned());
        let ranks_left_out = RANKS_LEFT_OUT;
        Ok(RestorePlan { from, head, summary, me, others, replaces, ranks_left_out, backup })
    }

    /// Makes a new database from a backup, with this host as the only replica. The one that is there is set aside; its
    /// new name is returned.
    ///
    /// # Errors
    /// When it cannot be written; the old database is then under the name that the fault gives.
    pub fn restore(&self, plan: RestorePlan) -> Result<(SystemSummary, Option<PathBuf>), Fault> {
        let aside = match plan.replaces {
            Some(_) => Some(offline::set_aside(&self.directory)?),
            None => None,
        };
        let now = SystemClock.now();
        let made = offline::restore(&self.directory, &plan.from, plan.backup, plan.me, now);
        let summary = made.map_err(|error| {
            let mut fault = Fault::from(error);
            if let Some(aside) = &aside {
                fault.description += &format!("; the former database is {}", aside.display());
            }
            fault
        })?;
        Ok((summary, aside))
    }

    fn unknown_address(&self) -> Fault {
        refused(
            "mgmt_svc_replicas does not list this host, so its address as a replica is not known",
        )
    }
}

fn refused(what: &str) -> Fault {
    Fault::new(
        "server",
        code::REPLICA_OFFLINE,
        what,
        "use the configuration of a replica, with the storage of its engine 0 mounted as its server leaves it",
    )
}
