//! What engine tasks ask of the rest of the server: storage from `format`, a process from the supervisor, a rank from
//! `join`, and the management service when engine 0's storage is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use daos_membership::{ControlAddress, Incarnation, Rank, System};
use tracing::info;
use uuid::Uuid;

use super::launch::LaunchFacts;
use super::news::News;
use crate::config::ServerConfig;
use crate::drpc::{RasDetail, RasEvent, RasId, RasSeverity, RasType};
use crate::engine::{EngineDeeds, Looked, Settled};
use crate::fault::{Fault, code};
use crate::format::{BroughtUp, EngineTarget, FormatService};
use crate::join::{self, Host, Joiner};
use crate::management::{Management, ManagementKeeper, ManagementState, Opening};
use crate::prepare::AutomaticPrepare;
use crate::superblock::{self, Superblock, SuperblockState};
use crate::supervisor::{EngineReady, Supervisor};

/// The real body of `EngineDeeds`.
#[derive(Debug)]
pub struct Deeds {
    pub config: Arc<ServerConfig>,
    pub format: FormatService,
    pub supervisor: Arc<dyn Supervisor>,
    pub launch: LaunchFacts,
    pub prepare: AutomaticPrepare,
    pub joiner: Joiner,
    pub host: Host,
    pub keeper: ManagementKeeper,
    pub management: Management,
    pub news: News,
}

#[async_trait]
impl EngineDeeds for Deeds {
    async fn look(&self, index: u32) -> Looked {
        match self.format.bring_up(index).await {
            BroughtUp::Ready => {}
            BroughtUp::Waiting(why) => return Looked::NeedsFormat(why.to_string()),
            BroughtUp::Refused(fault) => return Looked::Refused(fault),
        }
        match self.storage_is_ready(index).await {
            Ok(()) => Looked::Ready,
            Err(fault) => Looked::Refused(fault),
        }
    }

    async fn launch(&self, index: u32) -> Result<u32, Fault> {
        let engine = self.config.engines.iter().find(|engine| engine.index == index);
        let engine = engine.ok_or_else(|| unknown(index))?;
        let target = self.target(index)?;
        self.prepare.give_to(index).await?;
        let devices = engine.has_bdevs().then(|| target.home.device_config());
        let command = self.launch.command(&self.config, engine, devices)?;
        info!("Starting I/O server instance {index}: {}", command.program.display());
        self.supervisor.start(command).await.map_err(Fault::from)
    }

    async fn join(&self, index: u32, ready: &EngineReady, replace: bool) -> Result<Settled, Fault> {
        let path = self.target(index)?.home.superblock();
        let mut superblock = self.superblock(index)?;
        join::record_incarnation(
            &path,
            &mut superblock,
            ready.incarnation,
            &self.host.fault_domain,
        )?;
        let wished = self.config.engines.iter().find(|engine| engine.index == index);
        let wished = wished.and_then(|engine| engine.rank).and_then(Rank::new);
        let system = self.keeper.find_system(&self.management).await;
        same_system(index, &superblock, system)?;
        // Rank 0 is there for the host that makes the system, once: afterwards engine 0 there is as any other.
        let host =
            Host { bootstrap: self.host.bootstrap && self.makes_system(), ..self.host.clone() };
        let ask = join::ask_for(index, &superblock, wished, &host, ready, replace);
        let answer = self.joiner.join(&ask).await?;
        join::settle(&path, &mut superblock, &ask, answer, system)?;
        info!("engine {index} joined as rank {} (uuid {})", answer.rank, superblock.uuid);
        Ok(Settled {
            rank: answer.rank,
            map_version: answer.map_version,
            incarnation: ready.incarnation,
        })
    }

    async fn reset(&self, index: u32) -> Result<(), Fault> {
        self.format.reset(index).await.map(|_was_there| ())
    }

    fn known_rank(&self, index: u32) -> Option<Rank> {
        self.superblock(index).ok()?.joined_rank().and_then(Rank::new)
    }

    async fn report_absence(&self, index: u32, how: String) {
        // Engines look at their storage side by side: the one with the system database may be later.
        let mut state = self.management.watch();
        let opened =
            state.wait_for(|state| !matches!(state, ManagementState::Uninitialized { .. })).await;
        let Ok(state) = opened.map(|state| state.clone()) else { return };
        let Ok(superblock) = self.superblock(index) else { return };
        let Some(rank) = superblock.joined_rank().and_then(Rank::new) else { return };
        // A copied superblock must not speak for another engine's member. Elsewhere the incarnation tells.
        let is_own = |system: &System| {
            system.member(rank).is_some_and(|member| member.uuid == superblock.uuid)
        };
        if let ManagementState::Running(membership) = state
            && !membership.view().read(is_own)
        {
            return;
        }
        self.news.raise(died(index, rank, Incarnation(superblock.incarnation), how.clone(), how));
    }

    async fn report_death(&self, index: u32, rank: Rank, incarnation: Incarnation, how: String) {
        self.news.raise(died(index, rank, incarnation, format!("engine {index} {how}"), how));
    }
}

/// The event of an engine that ended or does not come up (contract 4.4).
fn died(
    index: u32,
    rank: Rank,
    incarnation: Incarnation,
    message: String,
    how: String,
) -> RasEvent {
    RasEvent {
        id: RasId::ENGINE_DIED,
        kind: RasType::StateChange,
        severity: RasSeverity::Error,
        message,
        rank: Some(rank.get()),
        incarnation: incarnation.0,
        detail: RasDetail::Engine { instance: index, errored: true, error: how },
        ..RasEvent::raised_here()
    }
}

impl Deeds {
    /// Whether rank 0 was never given, as far as this host's replica knows. One that has just been enlisted knows nothing.
    fn makes_system(&self) -> bool {
        let ManagementState::Running(membership) = self.management.state() else { return false };
        let leads = membership.leader_info().check_leader().is_ok();
        leads && membership.view().read(|system| !system.was_issued(Rank::BOOTSTRAP))
    }

    /// Engine 0's storage holds the system database of a replica: with the one comes the other (contract 6.1).
    async fn storage_is_ready(&self, index: u32) -> Result<(), Fault> {
        if index != 0 {
            return Ok(());
        }
        let superblock = self.superblock(index)?;
        let providers = self.config.engines.iter().map(|engine| engine.fabric.provider.clone());
        let fabric_providers: BTreeSet<String> = providers.collect();
        let opening = Opening {
            directory: self.database_directory(index)?,
            name: self.config.name.clone(),
            expected: superblock.system_uuid,
            may_create: self.host.bootstrap && superblock.joined_rank().is_none(),
            own_address: ControlAddress::new(self.host.address.into()),
            fabric_providers: fabric_providers.into_iter().collect(),
        };
        self.keeper.open(opening).await
    }

    /// The directory in which the database makes its own.
    fn database_directory(&self, index: u32) -> Result<PathBuf, Fault> {
        let database = self.target(index)?.home.system_database();
        database.parent().map(Path::to_path_buf).ok_or_else(|| unknown(index))
    }

    fn target(&self, index: u32) -> Result<&EngineTarget, Fault> {
        self.format.targets().engine(index).ok_or_else(|| unknown(index))
    }

    fn superblock(&self, index: u32) -> Result<Superblock, Fault> {
        let path = self.target(index)?.home.superblock();
        match superblock::load(&path) {
            SuperblockState::Readable(superblock) => Ok(superblock),
            SuperblockState::Unreadable(error) => Err(error.to_fault(&path)),
            SuperblockState::Missing => Err(Fault::new(
                "storage",
                code::SUPERBLOCK_MISSING,
                format!("engine {index} has no superblock at {}", path.display()),
                "format its storage with 'dmg storage format'",
            )),
        }
    }
}

/// An engine of one system does not join another one, whatever their names are.
fn same_system(index: u32, superblock: &Superblock, serves: Option<Uuid>) -> Result<(), Fault> {
    match (superblock.system_uuid, serves) {
        (Some(known), Some(serves)) if known != serves => Err(Fault::new(
            "server",
            code::SERVER_WRONG_SYSTEM,
            format!(
                "the storage of engine {index} belongs to system {known}, the management service serves system {serves}"
            ),
            "correct mgmt_svc_replicas in the configuration, or format the storage of the engine",
        )),
        _ => Ok(()),
    }
}

fn unknown(index: u32) -> Fault {
    Fault::new(
        "server",
        code::ENGINE_STEP_FAILED,
        format!("there is no engine {index}"),
        "report this with the server's log",
    )
}
