//! What an engine's start does with its storage: looks, asks the start table, mounts, makes a superblock.
//!
//! Called by the engine's task, which holds the storage meanwhile. Nothing here destroys anything.

use std::path::Path;

use daos_storage_nvme::model::FileState;
use daos_storage_nvme::{
    BdevTarget, BdevTier, DeviceState, EngineDeviceConfig, ObservedDevice, TierDevices,
};
use daos_storage_scm::{Intent, PlanFacts, SilentObserver};
use uuid::Uuid;

use super::execute::blocking;
use super::observe::observe;
use super::service::{FormatService, Inner};
use super::targets::EngineTarget;
use super::{elsewhere, faults, given};
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
        self.inner.start_facts(target).await.map(|(facts, _bdev)| facts)
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
    async fn start_facts(
        &self,
        target: &EngineTarget,
    ) -> Option<(StartFacts, Vec<ObservedDevice>)> {
        let hands = &self.hands;
        let mut seen =
            observe(&[target], hands.scm.as_ref(), hands.bdev.as_ref(), &hands.journal).await;
        let mut observed = seen.remove(&target.index())?;
        let bdev = std::mem::take(&mut observed.bdev);
        Some((observed.into_start_facts(target, self.targets.recreate_superblocks), bdev))
    }

    async fn bring_up(&self, target: &EngineTarget) -> BroughtUp {
        let mut mount_failed = None;
        let mut mounted_now = false;
        for _ in 0..ROUNDS {
            let Some((mut facts, bdev)) = self.start_facts(target).await else { break };
            if let Some(why) = mount_failed.take() {
                facts.scm = ScmAtStart::Unknown { why };
            }
            let decision = decide_start(&facts);
            log(&decision, &facts);
            match decision {
                StartDecision::Start { clear_mark } => {
                    if let Some(superblock) = facts.superblock.readable()
                        && let Err(fault) =
                            elsewhere::check(&self.targets, target, superblock, mounted_now)
                    {
                        return BroughtUp::Refused(fault);
                    }
                    if clear_mark {
                        self.clear_mark(target.index()).await;
                    }
                    return ready(self.start(target, &bdev, facts.superblock.readable()).await);
                }
                StartDecision::MountThenDecide(what) => {
                    let mounted = self.mount(target, what).await;
                    mounted_now |= mounted.is_ok();
                    mount_failed = mounted.err().map(|fault| fault.to_string());
                }
                StartDecision::CreateSuperblockThenStart => {
                    return ready(self.create(target, &bdev).await);
                }
                StartDecision::WaitForFormat { why } => return BroughtUp::Waiting(why),
                StartDecision::Refuse { fault } => return BroughtUp::Refused(fault),
            }
        }
        let why = "what was mounted does not stay mounted".to_owned();
        BroughtUp::Waiting(WaitReason::CheckFailed { why })
    }

    async fn clear_mark(&self, index: u32) {
        let journal = self.hands.journal.clone();
        let cleared = blocking(move || journal.clear(index).map_err(|error| Fault::from(&error)));
        if let Err(fault) = cleared.await {
            // Harmless: the superblock settles the mark at every look.
            tracing::warn!("instance {index}: the format mark stays: {fault}");
        }
    }

    /// The engine gets the devices of today's configuration (R151), unless one is new to it and not blank.
    async fn start(
        &self,
        target: &EngineTarget,
        bdev: &[ObservedDevice],
        superblock: Option<&Superblock>,
    ) -> Result<(), Fault> {
        let Some(superblock) = superblock else {
            return Err(faults::broken("a start without a superblock"));
        };
        let file_says = self.known_config(target).await;
        let before = match superblock.devices.as_slice() {
            // Written by a stock server, or by an earlier one of ours.
            [] => given::of_config(file_says.as_ref()),
            devices => devices.to_vec(),
        };
        let judged = given::judge(&target.bdev, bdev, &before)?;
        if superblock.incarnation != 0 {
            warn_of_blank(target.index(), &judged.blank);
        }
        if !judged.new.is_empty() {
            tracing::info!("instance {}: new devices {}", target.index(), judged.new.join(", "));
            self.make_files(target, &judged.new).await?;
        }
        let wanted = (!target.device_config.is_empty()).then_some(&target.device_config);
        // An administrator may edit the file by hand.
        if !target.keep_device_config && file_says.as_ref() != wanted {
            self.write_device_config(target).await?;
        }
        if judged.given == superblock.devices {
            return Ok(());
        }
        self.store(target, Superblock { devices: judged.given, ..superblock.clone() }).await
    }

    /// The device config of the engine's last start.
    async fn known_config(&self, target: &EngineTarget) -> Option<EngineDeviceConfig> {
        match self.hands.bdev.read_config(&target.config_file()).await {
            Ok(known) => known,
            Err(error) => {
                tracing::warn!("instance {}: {error}; it is made anew", target.index());
                None
            }
        }
    }

    async fn store(&self, target: &EngineTarget, superblock: Superblock) -> Result<(), Fault> {
        let path = target.home.superblock();
        let stored = blocking(move || {
            superblock::store(&path, &superblock).map_err(|error| error.to_fault(&path))
        });
        stored.await
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

    /// Rows D6 and C3: block devices that are blank, device config, then the superblock. Only where superblocks are to be made
    /// anew may the devices have been the engine's before.
    async fn create(&self, target: &EngineTarget, bdev: &[ObservedDevice]) -> Result<(), Fault> {
        let before = match self.targets.recreate_superblocks {
            true => given::of_config(self.known_config(target).await.as_ref()),
            false => Vec::new(),
        };
        let judged = given::judge(&target.bdev, bdev, &before)?;
        let all: Vec<String> = judged.given.iter().map(|device| device.name.clone()).collect();
        self.make_files(target, &all).await?;
        self.write_device_config(target).await?;
        let superblock = Superblock::new(Uuid::new_v4(), self.targets.system.as_str());
        self.store(target, Superblock { devices: judged.given, ..superblock }).await
    }

    /// Makes those files that do not exist yet (E6). What exists is left as it is.
    async fn make_files(&self, target: &EngineTarget, names: &[String]) -> Result<(), Fault> {
        let bdev = &self.hands.bdev;
        let absent = absent_files(&target.bdev, &bdev.observe(&target.bdev).await, names);
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

fn ready(done: Result<(), Fault>) -> BroughtUp {
    match done {
        Ok(()) => BroughtUp::Ready,
        Err(fault) => BroughtUp::Refused(fault),
    }
}

/// An engine that ran has marked its devices: one without its mark is another one, or was erased.
fn warn_of_blank(index: u32, names: &[String]) {
    for name in names {
        tracing::warn!(
            "engine {index} had data on block device {name}, which is blank now: it was exchanged, erased, or has another's name. The \
             engine is started without that data; if that is not meant, stop the server, see that bdev_list names the right device, \
             and start it again"
        );
    }
}

/// The part of a target that consists of files of these names which are not there.
fn absent_files(target: &BdevTarget, observed: &[ObservedDevice], names: &[String]) -> BdevTarget {
    let is_absent = |path: &Path| {
        names.contains(&path.display().to_string())
            && observed.iter().any(|device| {
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
