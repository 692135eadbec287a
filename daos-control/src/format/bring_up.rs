//! What an engine's start does with its storage: looks, asks the start table, mounts, makes a superblock.
//!
//! Called by the engine's task, which holds the storage meanwhile. Nothing here destroys anything.

use std::path::Path;

use daos_storage_nvme::model::FileState;
use daos_storage_nvme::{BdevTarget, BdevTier, DeviceState, ObservedDevice, TierDevices};
use daos_storage_scm::{Intent, PlanFacts, SilentObserver};
use uuid::Uuid;

use super::execute::blocking;
use super::faults;
use super::observe::observe;
use super::service::{FormatService, Inner};
use super::targets::EngineTarget;
use crate::fault::Fault;
use crate::start_table::{
    Mountable, ScmAtStart, StartDecision, StartFacts, WaitReason, decide_start,
};
use crate::superblock::{self, EngineHome, Superblock};

/// What came of bringing up an engine's storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BroughtUp {
    /// Mounted, with a superblock and a device config: the engine may start.
    Ready,
    /// It waits for a format.
    Waiting(WaitReason),
    /// It neither starts nor waits.
    Refused(Fault),
}

impl FormatService {
    /// The facts of the start table for one engine, as they are now; `None` for an unknown index.
    pub async fn start_facts(&self, index: u32) -> Option<StartFacts> {
        let target = self.inner.targets.engine(index)?;
        self.inner.start_facts(target).await
    }

    /// Makes an engine's storage ready for its start, as the start table says. Logs what it does (R118, R119).
    pub async fn bring_up(&self, index: u32) -> BroughtUp {
        let Some(target) = self.inner.targets.engine(index) else {
            return BroughtUp::Refused(faults::broken("there is no such engine"));
        };
        self.inner.bring_up(target).await
    }

    /// Sets an engine's superblock aside (contract 6.9, reset of the format): the engine waits for a format, and a
    /// plain one may take what is left, which is known to be our own. The engine must not run. Returns whether
    /// there was a superblock.
    ///
    /// # Errors
    /// It cannot be set aside durably and is still in place.
    pub async fn reset(&self, index: u32) -> Result<bool, Fault> {
        let Some(target) = self.inner.targets.engine(index) else {
            return Err(faults::broken("there is no such engine"));
        };
        let path = target.home.superblock();
        blocking(move || superblock::set_aside(&path).map_err(|error| error.to_fault(&path))).await
    }
}

/// Each round mounts at most once, and what is mounted is not mounted again.
const ROUNDS: usize = 3;

impl Inner {
    async fn start_facts(&self, target: &EngineTarget) -> Option<StartFacts> {
        let hands = &self.hands;
        let mut seen =
            observe(&[target], hands.scm.as_ref(), hands.bdev.as_ref(), &hands.journal).await;
        let observed = seen.remove(&target.index())?;
        Some(observed.into_start_facts(target, self.targets.recreate_superblocks))
    }

    async fn bring_up(&self, target: &EngineTarget) -> BroughtUp {
        let mut mount_failed = None;
        for _ in 0..ROUNDS {
            let Some(mut facts) = self.start_facts(target).await else { break };
            if let Some(why) = mount_failed.take() {
                facts.scm = ScmAtStart::Unknown { why };
            }
            let decision = decide_start(&facts);
            log(&decision, &facts);
            match decision {
                StartDecision::Start { clear_mark } => return self.start(target, clear_mark).await,
                StartDecision::MountThenDecide(what) => {
                    mount_failed =
                        self.mount(target, what).await.err().map(|fault| fault.to_string());
                }
                StartDecision::CreateSuperblockThenStart => return self.create(target).await,
                StartDecision::WaitForFormat { why } => return BroughtUp::Waiting(why),
                StartDecision::Refuse { fault } => return BroughtUp::Refused(fault),
            }
        }
        let why = "what was mounted does not stay mounted".to_owned();
        BroughtUp::Waiting(WaitReason::CheckFailed { why })
    }

    async fn start(&self, target: &EngineTarget, clear_mark: bool) -> BroughtUp {
        if clear_mark {
            let (journal, index) = (self.hands.journal.clone(), target.index());
            let cleared =
                blocking(move || journal.clear(index).map_err(|error| Fault::from(&error)));
            if let Err(fault) = cleared.await {
                // Harmless: the superblock settles the mark at every look.
                tracing::warn!("instance {index}: the format mark stays: {fault}");
            }
        }
        match self.renew_device_config(target).await {
            Ok(()) => BroughtUp::Ready,
            Err(fault) => BroughtUp::Refused(fault),
        }
    }

    /// The engine gets the devices of today's configuration (R151), unless an administrator edits the file.
    async fn renew_device_config(&self, target: &EngineTarget) -> Result<(), Fault> {
        let file = target.config_file();
        if target.keep_device_config {
            return Ok(());
        }
        let known = match self.hands.bdev.read_config(&file).await {
            Ok(known) => known,
            Err(error) => {
                tracing::warn!("instance {}: {error}; it is made anew", target.index());
                None
            }
        };
        let wanted = (!target.device_config.is_empty()).then_some(&target.device_config);
        if known.as_ref() == wanted {
            return Ok(());
        }
        self.write_device_config(target).await
    }

    async fn write_device_config(&self, target: &EngineTarget) -> Result<(), Fault> {
        let steps = daos_storage_nvme::SilentObserver;
        let written = self
            .hands
            .bdev
            .write_config(&target.config_file(), &target.device_config, &steps)
            .await;
        written.map_err(|error| faults::of_bdev(&error))
    }

    async fn mount(&self, target: &EngineTarget, what: Mountable) -> Result<(), Fault> {
        match what {
            Mountable::Device => self
                .hands
                .scm
                .mount(&target.scm)
                .await
                .map(|_| ())
                .map_err(|error| faults::of_scm(&error)),
            Mountable::FreshRam | Mountable::FreshDirectory => self.make_ram(target).await,
        }
    }

    /// Makes RAM-backed SCM whose metadata is on disk anew; a plan that would lose anything is not carried out.
    async fn make_ram(&self, target: &EngineTarget) -> Result<(), Fault> {
        let scm = &self.hands.scm;
        let made = async {
            let observed = scm.observe(&target.scm).await?;
            let facts = PlanFacts { leftovers: EngineHome::leftovers(), ..PlanFacts::default() };
            let plan = daos_storage_scm::plan(&target.scm, &observed, Intent::Plain, &facts)?;
            let digest = plan.digest().clone();
            scm.format(plan.accept(&digest)?, &SilentObserver).await
        };
        made.await.map(|_| ()).map_err(|error| faults::of_scm(&error))
    }

    /// Rows D6 and C3: block devices that are blank, device config, then the superblock.
    async fn create(&self, target: &EngineTarget) -> BroughtUp {
        if let Err(fault) = self.prepare_bdev(target).await {
            return BroughtUp::Refused(fault);
        }
        if let Err(fault) = self.write_device_config(target).await {
            return BroughtUp::Refused(fault);
        }
        let path = target.home.superblock();
        let superblock = Superblock::new(Uuid::new_v4(), self.targets.system.as_str());
        let stored = blocking(move || {
            superblock::store(&path, &superblock).map_err(|error| error.to_fault(&path))
        });
        match stored.await {
            Ok(()) => BroughtUp::Ready,
            Err(fault) => BroughtUp::Refused(fault),
        }
    }

    /// Makes files that do not exist yet (E6). Devices that exist are left as they are: the superblock that was
    /// lost may have belonged to them.
    async fn prepare_bdev(&self, target: &EngineTarget) -> Result<(), Fault> {
        let bdev = &self.hands.bdev;
        let absent = absent_files(&target.bdev, &bdev.observe(&target.bdev).await);
        let observed = bdev.observe(&absent).await;
        let planned = daos_storage_nvme::plan(&absent, &observed, daos_storage_nvme::Intent::Plain);
        let plan = planned.map_err(|error| faults::of_bdev(&error))?;
        let digest = plan.digest();
        let accepted = plan.accept(&digest).map_err(|error| faults::of_bdev(&error))?;
        let outcomes = bdev.format(accepted, &daos_storage_nvme::SilentObserver).await;
        match outcomes.iter().find_map(|outcome| outcome.result.error()) {
            Some(error) => Err(faults::of_bdev(error)),
            None => Ok(()),
        }
    }
}

/// The part of a target that consists of files which are not there.
fn absent_files(target: &BdevTarget, observed: &[ObservedDevice]) -> BdevTarget {
    let is_absent = |path: &Path| {
        observed.iter().any(|device| {
            device.device.name == path.display().to_string()
                && matches!(&device.state, Ok(DeviceState::File(FileState::Absent { .. })))
        })
    };
    let tiers = target.tiers.iter().filter_map(|tier| match &tier.devices {
        TierDevices::File { paths, size_gib } => {
            let paths: Vec<_> = paths.iter().filter(|path| is_absent(path)).cloned().collect();
            let devices = TierDevices::File { paths, size_gib: *size_gib };
            (!devices.names().is_empty()).then(|| BdevTier { devices, ..tier.clone() })
        }
        TierDevices::Nvme { .. } | TierDevices::Kdev { .. } | TierDevices::Malloc { .. } => None,
    });
    BdevTarget { tiers: tiers.collect(), ..target.clone() }
}

fn log(decision: &StartDecision, facts: &StartFacts) {
    let line = decision.log_line(facts);
    match decision {
        StartDecision::Start { .. } | StartDecision::CreateSuperblockThenStart => {
            tracing::debug!("{line}");
        }
        StartDecision::MountThenDecide(_) | StartDecision::WaitForFormat { .. } => {
            tracing::info!("{line}");
        }
        StartDecision::Refuse { fault } => tracing::error!("{fault}"),
    }
}
