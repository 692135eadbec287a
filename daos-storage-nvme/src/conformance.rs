//! The suite that every body of [`BdevProvider`] passes, ours and others'. Panics with what was not kept.
//!
//! Implement [`Bench`] for the body and call [`run`] from a test with a multi-threaded tokio runtime:
//!
//! ```
//! use daos_storage_nvme::conformance::{self, Bench};
//! use daos_storage_nvme::malloc::MallocBdev;
//! # use daos_storage_nvme::{BdevProvider, BdevTarget, BdevTier, FileOwner, Roles, TierDevices};
//! # use std::sync::Arc;
//!
//! struct MallocBench;
//!
//! impl Bench for MallocBench {
//!     fn provider(&self) -> Arc<dyn BdevProvider> {
//!         Arc::new(MallocBdev)
//!     }
//!
//!     fn target(&self) -> BdevTarget {
//!         let devices = TierDevices::Malloc { count: 2, size_gib: 1 };
//!         BdevTarget {
//!             engine: 0,
//!             host: "bench".to_owned(),
//!             owner: FileOwner::current(),
//!             tiers: vec![BdevTier { tier: 1, roles: Roles::NONE, devices }],
//!         }
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
//! conformance::run(|_case| Some(Box::new(MallocBench))).await;
//! # });
//! ```

use std::any::Any;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::engine_config::{ConfigFile, ConfigForm, EngineDeviceConfig, EngineOptions};
use crate::plan::{AcceptedBdevPlan, BdevPlan, Intent, PlanDigest, Verdict, plan};
use crate::provider::{PrepareRequest, ResetRequest};
use crate::{
    BdevError, BdevProvider, BdevTarget, DeviceOutcome, DeviceRef, FileOwner, FormatResult,
    ScanRequest, SilentObserver, StepObserver,
};

/// What a bench can put on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// Somebody else's data.
    Foreign,
    /// Our own format.
    Ours,
}

/// A body with devices of its own to try it on: at least two in one target, blank or absent.
///
/// What a class does not have (memory has no contents) stays with the default and is passed over.
pub trait Bench: Send + Sync {
    /// The body.
    fn provider(&self) -> Arc<dyn BdevProvider>;

    /// Its devices.
    fn target(&self) -> BdevTarget;

    /// Puts something on a device; `false` when devices of this class hold nothing.
    fn put(&self, _device: &DeviceRef, _what: Put) -> bool {
        false
    }

    /// Whether what [`Put::Foreign`] put there is still there.
    fn foreign_is_intact(&self, _device: &DeviceRef) -> bool {
        true
    }

    /// Has somebody use the device until the answer is dropped; `None` when that cannot be.
    fn occupy(&self, _device: &DeviceRef) -> Option<Box<dyn Any + Send>> {
        None
    }

    /// Makes the device impossible to look at or format; `false` when that cannot be.
    fn break_device(&self, _device: &DeviceRef) -> bool {
        false
    }
}

/// Runs every case on a bench of its own. `make` is told the name of the case and answers `None` where this
/// machine lacks something, having said what.
///
/// # Panics
/// When the body does not keep what [`BdevProvider`] says.
pub async fn run(make: impl Fn(&str) -> Option<Box<dyn Bench>>) {
    macro_rules! cases {
        ($($case:ident),* $(,)?) => { $(
            if let Some(bench) = make(stringify!($case)) {
                $case(bench.as_ref()).await;
            }
        )* };
    }
    cases!(
        looking_changes_nothing,
        blank_devices_are_formatted_without_loss,
        foreign_data_is_refused_until_reformat,
        our_own_format_is_renewed_by_a_plain_format,
        what_is_in_use_is_refused_whatever_is_asked,
        what_changes_after_the_plan_is_not_touched,
        what_is_taken_after_the_plan_is_not_touched,
        a_plan_that_was_not_shown_is_refused,
        a_broken_device_stops_no_other,
        a_format_cut_off_anywhere_can_be_planned_again,
        the_device_configuration_is_kept,
        prepare_and_reset_answer,
    );
}

async fn planned(bench: &dyn Bench, intent: Intent) -> BdevPlan {
    let target = bench.target();
    let observed = bench.provider().observe(&target).await;
    plan(&target, &observed, intent).expect("a plan for the bench's target")
}

fn accepted(plan: BdevPlan) -> AcceptedBdevPlan {
    let digest = plan.digest();
    plan.accept(&digest).expect("its own digest")
}

async fn format(bench: &dyn Bench, intent: Intent) -> Vec<DeviceOutcome> {
    let plan = accepted(planned(bench, intent).await);
    bench.provider().format(plan, &SilentObserver).await
}

fn first(bench: &dyn Bench) -> DeviceRef {
    bench.target().devices().first().cloned().expect("a bench has at least two devices")
}

fn others_are_good(outcomes: &[DeviceOutcome], but: &DeviceRef) {
    for outcome in outcomes.iter().filter(|outcome| outcome.device != *but) {
        assert!(outcome.result.error().is_none(), "{}: {:?}", outcome.device, outcome.result);
    }
}

fn code_of(outcomes: &[DeviceOutcome], device: &DeviceRef) -> Option<i32> {
    let outcome = outcomes.iter().find(|outcome| outcome.device == *device);
    outcome.expect("an outcome for every device").result.error().map(BdevError::code)
}

async fn looking_changes_nothing(bench: &dyn Bench) {
    let provider = bench.provider();
    let target = bench.target();
    assert!(target.devices().len() >= 2, "a bench has at least two devices");
    let request = ScanRequest { targets: vec![target.clone()], health: true };
    let scanned = provider.scan(&request).await.expect("scan");
    let one = planned(bench, Intent::Plain).await;
    let two = planned(bench, Intent::Plain).await;
    assert_eq!(one.digest(), two.digest(), "{one}\n{two}");
    assert_eq!(provider.scan(&request).await.expect("scan again"), scanned);
    let devices: Vec<DeviceRef> = one.devices().iter().map(|d| d.device().clone()).collect();
    assert_eq!(devices, target.devices(), "every device, in the order of the target");
}

async fn blank_devices_are_formatted_without_loss(bench: &dyn Bench) {
    let plan = planned(bench, Intent::Plain).await;
    assert!(!plan.destroys(), "{plan}");
    let seen = Recorder::default();
    let expected: Vec<String> = plan
        .devices()
        .iter()
        .filter(|device| matches!(device.verdict(), Verdict::Proceed { .. }))
        .flat_map(|d| d.row().steps.into_iter().map(|step| format!("{}: {step}", d.device())))
        .collect();
    let outcomes = bench.provider().format(accepted(plan), &seen).await;
    let devices: Vec<DeviceRef> = outcomes.iter().map(|o| o.device.clone()).collect();
    assert_eq!(devices, bench.target().devices(), "one outcome per device, in order");
    for outcome in &outcomes {
        assert!(outcome.result.error().is_none(), "{}: {:?}", outcome.device, outcome.result);
    }
    assert_eq!(seen.steps(), expected, "every step is told as the plan shows it");
    // A second plain format finds nothing to do, whatever the first one did.
    for outcome in format(bench, Intent::Plain).await {
        let idle =
            matches!(outcome.result, FormatResult::AlreadyFormatted | FormatResult::Skipped(_));
        assert!(idle, "{}: {:?}", outcome.device, outcome.result);
    }
}

async fn foreign_data_is_refused_until_reformat(bench: &dyn Bench) {
    let device = first(bench);
    if !bench.put(&device, Put::Foreign) {
        return;
    }
    let plan = planned(bench, Intent::Plain).await;
    assert!(!plan.destroys(), "{plan}");
    let outcomes = format(bench, Intent::Plain).await;
    assert_eq!(code_of(&outcomes, &device), Some(1226));
    others_are_good(&outcomes, &device);
    assert!(bench.foreign_is_intact(&device), "a plain format touched foreign data");

    let plan = planned(bench, Intent::Reformat).await;
    assert!(plan.destroys(), "the loss is shown: {plan}");
    let row = plan.devices().first().map(crate::DevicePlan::row).expect("a row");
    assert!(row.destroys && !row.steps.is_empty() && row.content != "blank", "{row:?}");
    let outcomes = format(bench, Intent::Reformat).await;
    assert_eq!(code_of(&outcomes, &device), None);
    others_are_good(&outcomes, &device);
    assert!(!bench.foreign_is_intact(&device), "a reformat left foreign data");
    assert!(!planned(bench, Intent::Plain).await.destroys(), "blank after the format");
}

async fn our_own_format_is_renewed_by_a_plain_format(bench: &dyn Bench) {
    let device = first(bench);
    if !bench.put(&device, Put::Ours) {
        return;
    }
    let plan = planned(bench, Intent::Plain).await;
    assert!(plan.destroys(), "the loss of our own format is shown: {plan}");
    let outcomes = format(bench, Intent::Plain).await;
    let result = outcomes.first().map(|outcome| outcome.result.clone());
    assert!(matches!(result, Some(FormatResult::Formatted)), "{result:?}");
    assert!(!planned(bench, Intent::Plain).await.destroys(), "blank after the format");
}

async fn what_is_in_use_is_refused_whatever_is_asked(bench: &dyn Bench) {
    let device = first(bench);
    if !bench.put(&device, Put::Foreign) {
        return;
    }
    let Some(user) = bench.occupy(&device) else { return };
    for intent in [Intent::Plain, Intent::Reformat] {
        let outcomes = format(bench, intent).await;
        assert_eq!(code_of(&outcomes, &device), Some(1225), "{intent:?}");
        others_are_good(&outcomes, &device);
        assert!(bench.foreign_is_intact(&device));
    }
    drop(user);
    assert_eq!(code_of(&format(bench, Intent::Reformat).await, &device), None);
}

async fn what_changes_after_the_plan_is_not_touched(bench: &dyn Bench) {
    let device = first(bench);
    for intent in [Intent::Plain, Intent::Reformat] {
        let plan = accepted(planned(bench, intent).await);
        if !bench.put(&device, Put::Foreign) {
            return;
        }
        let outcomes = bench.provider().format(plan, &SilentObserver).await;
        assert_eq!(code_of(&outcomes, &device), Some(1230), "{intent:?}");
        others_are_good(&outcomes, &device);
        assert!(bench.foreign_is_intact(&device), "{intent:?}");
        let outcomes = format(bench, Intent::Reformat).await;
        assert_eq!(code_of(&outcomes, &device), None);
    }
}

async fn what_is_taken_after_the_plan_is_not_touched(bench: &dyn Bench) {
    let device = first(bench);
    if !bench.put(&device, Put::Foreign) {
        return;
    }
    let plan = accepted(planned(bench, Intent::Reformat).await);
    let Some(_user) = bench.occupy(&device) else { return };
    let outcomes = bench.provider().format(plan, &SilentObserver).await;
    let code = code_of(&outcomes, &device);
    assert!([Some(1225), Some(1220), Some(1230)].contains(&code), "{code:?}");
    others_are_good(&outcomes, &device);
    assert!(bench.foreign_is_intact(&device));
}

async fn a_plan_that_was_not_shown_is_refused(bench: &dyn Bench) {
    let plan = planned(bench, Intent::Plain).await;
    let other = PlanDigest::from_text("0".repeat(64));
    assert_eq!(plan.clone().accept(&other).expect_err("another digest").code(), 1230);
    let reformat = planned(bench, Intent::Reformat).await;
    assert_ne!(plan.digest(), reformat.digest(), "the intent is part of the plan");
}

async fn a_broken_device_stops_no_other(bench: &dyn Bench) {
    let device = first(bench);
    // One that breaks between plan and format, then one that cannot even be planned.
    let plan = accepted(planned(bench, Intent::Plain).await);
    if !bench.break_device(&device) {
        return;
    }
    let outcomes = bench.provider().format(plan, &SilentObserver).await;
    assert!(code_of(&outcomes, &device).is_some(), "{outcomes:?}");
    others_are_good(&outcomes, &device);
    let outcomes = format(bench, Intent::Reformat).await;
    assert!(code_of(&outcomes, &device).is_some(), "{outcomes:?}");
    others_are_good(&outcomes, &device);
}

async fn a_format_cut_off_anywhere_can_be_planned_again(bench: &dyn Bench) {
    let device = first(bench);
    for cut_at in 0..16 {
        bench.put(&device, Put::Foreign);
        let plan = accepted(planned(bench, Intent::Reformat).await);
        let provider = bench.provider();
        let cut = Arc::new(CutAt { left: AtomicUsize::new(cut_at) });
        let work = tokio::spawn({
            let cut = Arc::clone(&cut);
            async move { provider.format(plan, cut.as_ref()).await }
        });
        let was_cut = work.await.is_err();
        let again = format(bench, Intent::Reformat).await;
        for outcome in &again {
            let error = outcome.result.error();
            assert!(error.is_none(), "cut at {cut_at}: {}: {error:?}", outcome.device);
        }
        assert!(!planned(bench, Intent::Plain).await.destroys(), "cut at {cut_at}");
        if !was_cut {
            return;
        }
    }
    panic!("more than 16 steps for the bench's devices");
}

async fn the_device_configuration_is_kept(bench: &dyn Bench) {
    let directory = tempfile_directory();
    let provider = bench.provider();
    let config = EngineDeviceConfig::from_target(&bench.target(), EngineOptions::default())
        .expect("a configuration for the bench's target");
    let path = directory.join("daos_nvme.conf");
    let file = ConfigFile { path, form: ConfigForm::Json, owner: FileOwner::current() };
    assert_eq!(provider.read_config(&file).await.expect("read"), None);
    let seen = Recorder::default();
    provider.write_config(&file, &config, &seen).await.expect("write");
    assert_eq!(seen.steps().len(), 1);
    let read = provider.read_config(&file).await.expect("read back");
    assert_eq!(read.as_ref(), Some(&config));
    // An engine that lost its devices loses the file (R61).
    let none = EngineDeviceConfig { tiers: Vec::new(), ..config };
    provider.write_config(&file, &none, &SilentObserver).await.expect("remove");
    assert_eq!(provider.read_config(&file).await.expect("read"), None);
    let _ = std::fs::remove_dir_all(directory);
}

async fn prepare_and_reset_answer(bench: &dyn Bench) {
    let provider = bench.provider();
    if let Err(error) = provider.prepare(&PrepareRequest::default()).await {
        assert_eq!(error.code(), 1231, "{error}");
    }
    if let Err(error) = provider.reset(&ResetRequest::default()).await {
        assert_eq!(error.code(), 1231, "{error}");
    }
}

/// A directory of its own for one case.
fn tempfile_directory() -> std::path::PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("daos-bdev-conformance-{}-{number}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir(&directory).expect("a temporary directory");
    directory
}

#[derive(Default)]
struct Recorder {
    steps: Mutex<Vec<String>>,
}

impl Recorder {
    fn steps(&self) -> Vec<String> {
        self.steps.lock().expect("no panic while recording").clone()
    }
}

impl StepObserver for Recorder {
    fn step(&self, step: &str) {
        self.steps.lock().expect("no panic while recording").push(step.to_owned());
    }
}

/// Ends the work before its step of this number, as a crash would.
struct CutAt {
    left: AtomicUsize,
}

impl StepObserver for CutAt {
    fn step(&self, step: &str) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 0 {
            // Unwinds without the noise of a panic's report.
            std::panic::resume_unwind(Box::new(format!("cut off before: {step}")));
        }
    }
}
