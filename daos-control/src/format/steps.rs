//! The steps of a format as they are taken: for the log, for whoever watches, and for tests that cut it off.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::report::StorageMedium;

/// Told of each step before it is taken.
pub trait FormatWatcher: Send + Sync + Debug {
    /// Engine `engine` is about to do `step`, in the words of the plan. Must not block for long.
    fn step(&self, engine: u32, medium: StorageMedium, step: &str);
}

/// Watches nothing: the log has every step anyway.
#[derive(Debug, Clone, Copy, Default)]
pub struct NobodyWatches;

impl FormatWatcher for NobodyWatches {
    fn step(&self, _engine: u32, _medium: StorageMedium, _step: &str) {}
}

/// The steps of one engine: logs them, passes them on and remembers whether a provider took any.
#[derive(Debug)]
pub(super) struct EngineSteps {
    engine: u32,
    watcher: Arc<dyn FormatWatcher>,
    begun: AtomicBool,
}

impl EngineSteps {
    pub(super) fn new(engine: u32, watcher: Arc<dyn FormatWatcher>) -> Self {
        Self { engine, watcher, begun: AtomicBool::new(false) }
    }

    /// A step of our own that changes none of the devices.
    pub(super) fn note(&self, medium: StorageMedium, step: &str) {
        tracing::info!(engine = self.engine, medium = medium.name(), "{step}");
        self.watcher.step(self.engine, medium, step);
    }

    /// A step that changes a device.
    pub(super) fn change(&self, medium: StorageMedium, step: &str) {
        self.begun.store(true, Ordering::Release);
        self.note(medium, step);
    }

    /// Whether any device may have been changed.
    pub(super) fn have_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// What was told since was refused as a whole: it counts as little as before.
    pub(super) fn undo(&self, had_begun: bool) {
        self.begun.store(had_begun, Ordering::Release);
    }

    /// The view of these steps that a provider takes.
    pub(super) fn of(&self, medium: StorageMedium) -> MediumSteps<'_> {
        MediumSteps { steps: self, medium }
    }
}

/// Steps of one engine on one medium.
#[derive(Debug, Clone, Copy)]
pub(super) struct MediumSteps<'a> {
    steps: &'a EngineSteps,
    medium: StorageMedium,
}

impl daos_storage_scm::StepObserver for MediumSteps<'_> {
    fn step(&self, step: &str) {
        self.steps.change(self.medium, step);
    }
}

impl daos_storage_nvme::StepObserver for MediumSteps<'_> {
    fn step(&self, step: &str) {
        self.steps.change(self.medium, step);
    }
}
