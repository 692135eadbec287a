//! Carries out an accepted plan for one engine: mark, metadata, SCM, block devices, device config, superblock, and
//! the mark away again.
//!
//! Called by `service`, which holds the engine's storage meanwhile. Decides nothing: whatever is not in the plan
//! is not done. The superblock is durable before the mark goes and after everything else (R151), so a crash
//! leaves a mark, which means unknown, or a whole format.

use std::sync::Arc;
use std::time::Instant;

use daos_storage_nvme::{BdevPlan, BdevProvider, FormatResult};
use daos_storage_scm::{ScmError, ScmPlan, ScmProvider, ScmStep};

use super::plan::{EnginePlan, EngineWork, Verdict};
use super::report::{DeviceOutcome, DeviceReport, EngineReport, NO_DEVICE, Skip, StorageMedium};
use super::steps::{EngineSteps, FormatWatcher};
use super::targets::EngineTarget;
use super::{Journal, Mark, MarkTarget, MetadataPlan, SystemDatabase, faults, given, metadata};
use crate::fault::Fault;
use crate::superblock::{self, Superblock};

/// What carries out steps.
#[derive(Debug, Clone)]
pub(super) struct Hands {
    pub(super) scm: Arc<dyn ScmProvider>,
    pub(super) bdev: Arc<dyn BdevProvider>,
    pub(super) journal: Journal,
    pub(super) system: Arc<dyn SystemDatabase>,
    pub(super) watcher: Arc<dyn FormatWatcher>,
}

/// Formats one engine with this superblock, or says why not.
pub(super) async fn format_engine(
    hands: &Hands,
    target: &EngineTarget,
    plan: EnginePlan,
    digest: &str,
    superblock: Superblock,
) -> EngineReport {
    let rows = Rows::new(target);
    let work = match plan.verdict {
        Verdict::Format(work) => work,
        Verdict::AlreadyFormatted(fault) => return rows.already_formatted(fault),
        Verdict::Refused(fault) => return rows.refused(&plan.devices, fault),
    };
    let steps = Arc::new(EngineSteps::new(target.index(), Arc::clone(&hands.watcher)));
    let mark = Mark::new(target.index(), digest, superblock.uuid, mark_targets(&plan.devices));
    let job = Job { hands, target, steps, rows };
    job.run(*work, superblock, mark, plan.system_lost).await
}

fn mark_targets(devices: &[super::plan::DevicePlan]) -> Vec<MarkTarget> {
    let target = |row: &super::plan::DevicePlan| MarkTarget {
        medium: row.medium.name().to_owned(),
        device: row.device.clone(),
        identity: row.identity.clone(),
        destroys: row.destroys(),
    };
    devices.iter().filter(|row| row.refused.is_none()).map(target).collect()
}

/// One engine being formatted.
struct Job<'a> {
    hands: &'a Hands,
    target: &'a EngineTarget,
    steps: Arc<EngineSteps>,
    rows: Rows<'a>,
}

/// Where a format stopped; the rows say why.
struct Stopped;

impl Job<'_> {
    async fn run(
        mut self,
        work: EngineWork,
        superblock: Superblock,
        mark: Mark,
        system_lost: bool,
    ) -> EngineReport {
        let formatted = match self.mark(mark).await {
            // Without a mark nothing was begun, and there is none to remove.
            Err(Stopped) => false,
            Ok(()) => {
                let done = self.format(work, superblock, system_lost).await.is_ok();
                if done || !self.steps.have_begun() {
                    self.remove_mark().await;
                }
                if !done && system_lost && !self.steps.have_begun() {
                    self.reopen_system().await;
                }
                done
            }
        };
        if formatted {
            tracing::info!(
                "StorageFormat: storage format successful on server {}",
                self.target.index()
            );
        }
        self.rows.finish(formatted)
    }

    async fn format(
        &mut self,
        work: EngineWork,
        superblock: Superblock,
        system_lost: bool,
    ) -> Result<(), Stopped> {
        let given = work.bdev.as_ref().map(|plan| {
            let states = plan.devices().iter().map(|device| (device.device(), device.state()));
            given::of_format(states)
        });
        let superblock = Superblock { devices: given.unwrap_or_default(), ..superblock };
        if system_lost {
            self.close_system().await?;
        }
        // Asked before anything goes: once the metadata is gone, an SCM that is busy cannot be left as it was.
        if unmounts(&work.scm) {
            self.require_free().await?;
        }
        if let Some(plan) = work.metadata {
            self.format_metadata(plan).await?;
        }
        self.format_scm(work.scm).await?;
        if let Some(plan) = work.bdev {
            self.format_bdev(plan).await?;
        }
        self.write_config().await?;
        self.write_superblock(superblock).await
    }

    async fn mark(&mut self, mark: Mark) -> Result<(), Stopped> {
        self.steps.note(StorageMedium::Metadata, "write the format mark");
        let journal = self.hands.journal.clone();
        let begun = blocking(move || journal.begin(&mark).map_err(|error| Fault::from(&error)));
        begun.await.map_err(|fault| self.rows.scm_failed(fault))
    }

    /// A mark that cannot be removed is harmless after a format: its superblock settles it.
    async fn remove_mark(&self) {
        self.steps.note(StorageMedium::Metadata, "remove the format mark");
        let (journal, index) = (self.hands.journal.clone(), self.target.index());
        let cleared = blocking(move || journal.clear(index).map_err(|error| Fault::from(&error)));
        if let Err(fault) = cleared.await {
            tracing::warn!("instance {index}: the format mark stays: {fault} ({})", fault.reason);
        }
    }

    async fn close_system(&mut self) -> Result<(), Stopped> {
        self.steps.note(StorageMedium::Metadata, "close the system database");
        let closed = self.hands.system.close().await;
        closed.map_err(|why| {
            let fault = faults::system_database(self.target.index(), &why);
            self.rows.scm_failed(fault)
        })
    }

    /// Nothing was changed, so the system goes on; otherwise it does with the next start of the engine.
    async fn reopen_system(&self) {
        self.steps.note(StorageMedium::Metadata, "open the system database again");
        if let Err(fault) = self.hands.system.reopen().await {
            tracing::error!("instance {}: {fault} ({})", self.target.index(), fault.reason);
        }
    }

    async fn require_free(&mut self) -> Result<(), Stopped> {
        let free = self.hands.scm.check_unmount(&self.target.scm).await;
        free.map_err(|error| self.rows.scm_failed(faults::of_scm(&error)))
    }

    async fn format_metadata(&mut self, plan: MetadataPlan) -> Result<(), Stopped> {
        let steps = Arc::clone(&self.steps);
        let directory = plan.directory.display().to_string();
        let done = blocking(move || {
            let step = |step: &str| steps.change(StorageMedium::Metadata, step);
            metadata::execute(&plan, step).map_err(|error| metadata::write_fault(&error))
        });
        match done.await {
            Ok(()) => {
                self.rows.add(StorageMedium::Metadata, &directory, 0, DeviceOutcome::Formatted);
                Ok(())
            }
            Err(fault) => Err(self.rows.metadata_failed(&directory, fault)),
        }
    }

    async fn format_scm(&mut self, plan: ScmPlan) -> Result<(), Stopped> {
        let index = self.target.index();
        tracing::info!("performing scm format on server {index}, should be quick!");
        let began = Instant::now();
        let digest = plan.digest().clone();
        let (had_begun, unmounts_first) = (self.steps.have_begun(), unmounts(&plan));
        let formatted = match plan.accept(&digest) {
            Ok(accepted) => {
                self.hands.scm.format(accepted, &self.steps.of(StorageMedium::Scm)).await
            }
            Err(error) => Err(error),
        };
        // Refused at the first step: the mount is as it was.
        if unmounts_first && matches!(formatted, Err(ScmError::Busy { .. })) {
            self.steps.undo(had_begun);
        }
        let mounted = formatted.map_err(|error| self.rows.scm_failed(faults::of_scm(&error)))?;
        for notice in &mounted.notices {
            tracing::warn!("instance {index}: {notice}");
        }
        tracing::info!(
            "scm format on server {index} finished in {} ms: {} at {}",
            began.elapsed().as_millis(),
            mounted.form,
            mounted.mount_point.display()
        );
        self.rows.add_scm(DeviceOutcome::Formatted);
        Ok(())
    }

    async fn format_bdev(&mut self, plan: BdevPlan) -> Result<(), Stopped> {
        let index = self.target.index();
        tracing::info!("performing nvme format on server {index}, may take several minutes!");
        let began = Instant::now();
        let digest = plan.digest();
        let outcomes = match plan.accept(&digest) {
            Ok(accepted) => {
                self.hands.bdev.format(accepted, &self.steps.of(StorageMedium::Nvme)).await
            }
            Err(error) => return Err(self.rows.bdev_failed(faults::of_bdev(&error))),
        };
        let expected = self.target.bdev.devices().len();
        if outcomes.len() != expected {
            let what = format!("{} outcomes for {expected} block devices", outcomes.len());
            return Err(self.rows.bdev_failed(faults::broken(&what)));
        }
        let mut failed = 0;
        for outcome in outcomes {
            let became = match &outcome.result {
                FormatResult::Formatted | FormatResult::AlreadyFormatted => {
                    DeviceOutcome::Formatted
                }
                FormatResult::Skipped(_) => DeviceOutcome::Skipped(Skip::NothingToDo),
                FormatResult::Failed(error) => {
                    failed += 1;
                    DeviceOutcome::Failed(faults::of_bdev(error))
                }
            };
            let bits = outcome.roles.bits();
            self.rows.add(StorageMedium::Nvme, &outcome.device.name, bits, became);
        }
        tracing::info!(
            "nvme format on server {index} finished in {} ms, {failed} of {expected} failed",
            began.elapsed().as_millis()
        );
        if failed > 0 { Err(Stopped) } else { Ok(()) }
    }

    async fn write_config(&mut self) -> Result<(), Stopped> {
        let steps = self.steps.of(StorageMedium::Nvme);
        let (file, config) = (self.target.config_file(), &self.target.device_config);
        let written = self.hands.bdev.write_config(&file, config, &steps).await;
        written.map_err(|error| self.rows.bdev_failed(faults::of_bdev(&error)))
    }

    async fn write_superblock(&mut self, superblock: Superblock) -> Result<(), Stopped> {
        let path = self.target.home.superblock();
        let step = format!("write the superblock {}", path.display());
        self.steps.change(StorageMedium::Metadata, &step);
        let written = blocking(move || {
            superblock::store(&path, &superblock).map_err(|error| error.to_fault(&path))
        });
        written.await.map_err(|fault| self.rows.scm_failed(fault))
    }
}

/// Whether the plan begins by taking a mount away.
fn unmounts(plan: &ScmPlan) -> bool {
    matches!(plan.steps().first(), Some(ScmStep::Unmount { .. }))
}

/// Runs work that blocks on a thread for it.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(faults::broken(&error.to_string())),
    }
}

/// The report of one engine as it grows.
struct Rows<'a> {
    target: &'a EngineTarget,
    rows: Vec<DeviceReport>,
}

impl<'a> Rows<'a> {
    fn new(target: &'a EngineTarget) -> Self {
        Self { target, rows: Vec::new() }
    }

    fn finish(self, formatted: bool) -> EngineReport {
        EngineReport { index: self.target.index(), devices: self.rows, formatted }
    }

    fn add(&mut self, medium: StorageMedium, device: &str, role_bits: u8, outcome: DeviceOutcome) {
        let engine = self.target.index();
        let device = device.to_owned();
        if let DeviceOutcome::Failed(fault) = &outcome {
            let cause = if fault.reason.is_empty() {
                String::new()
            } else {
                format!(" ({})", fault.reason)
            };
            tracing::error!("instance {engine}: {medium} {device}: {fault}{cause}");
        }
        self.rows.push(DeviceReport { engine, medium, device, role_bits, outcome });
    }

    /// The one row of the engine's SCM; a later outcome takes the place of an earlier one.
    fn add_scm(&mut self, outcome: DeviceOutcome) {
        self.rows.retain(|row| row.medium != StorageMedium::Scm);
        let mount = self.target.scm.mount_point().display().to_string();
        self.add(StorageMedium::Scm, &mount, 0, outcome);
        self.rows.sort_by_key(|row| row.medium);
    }

    /// A row for all block devices together, if there are any that have no row yet.
    fn skip_bdev(&mut self, skip: Skip) {
        let unsaid = self.rows.iter().all(|row| row.medium != StorageMedium::Nvme);
        if unsaid && !self.target.bdev.tiers.is_empty() {
            self.add(StorageMedium::Nvme, NO_DEVICE, 0, DeviceOutcome::Skipped(skip));
        }
    }

    fn scm_failed(&mut self, fault: Fault) -> Stopped {
        self.add_scm(DeviceOutcome::Failed(fault));
        self.skip_bdev(Skip::ScmFailed { engine: self.target.index() });
        Stopped
    }

    fn bdev_failed(&mut self, fault: Fault) -> Stopped {
        self.add(StorageMedium::Nvme, NO_DEVICE, 0, DeviceOutcome::Failed(fault));
        Stopped
    }

    fn metadata_failed(&mut self, directory: &str, fault: Fault) -> Stopped {
        let skip = Skip::MetadataFailed { engine: self.target.index() };
        self.add(StorageMedium::Metadata, directory, 0, DeviceOutcome::Failed(fault));
        self.add_scm(DeviceOutcome::Skipped(skip));
        self.skip_bdev(skip);
        Stopped
    }

    fn already_formatted(mut self, fault: Fault) -> EngineReport {
        self.add_scm(DeviceOutcome::AlreadyFormatted(fault));
        self.skip_bdev(Skip::ScmNotFormatted { engine: self.target.index() });
        self.finish(false)
    }

    fn refused(mut self, devices: &[super::plan::DevicePlan], fault: Fault) -> EngineReport {
        let skip = Skip::EngineRefused { engine: self.target.index() };
        self.add_scm(DeviceOutcome::Failed(fault));
        for row in devices.iter().filter(|row| row.medium == StorageMedium::Nvme) {
            let outcome = match &row.refused {
                Some(fault) => DeviceOutcome::Failed(fault.clone()),
                None => DeviceOutcome::Skipped(skip),
            };
            self.add(StorageMedium::Nvme, &row.device, row.role_bits, outcome);
        }
        self.skip_bdev(Skip::ScmFailed { engine: self.target.index() });
        self.finish(false)
    }
}
