//! kill -9 at every step of a format, then a restart: never formatted wrongly, never stuck, nothing foreign lost.
//!
//! The format runs in a child process, this very program started again, which kills itself when it comes to the
//! step it was told.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use daos_control::format::{
    BroughtUp, FormatRequest, FormatService, FormatWatcher, StorageMedium, Verdict,
};
use daos_control::start_table::WaitReason;

use crate::host::{Form, Host, Layout, PLAIN, REFORMAT, use_storage};

const FOREIGN: &str = "somebody else's data";

/// Writes each step down, then dies at the one it was told.
#[derive(Debug)]
struct DieAt {
    step: usize,
    taken: AtomicUsize,
    steps: PathBuf,
}

impl FormatWatcher for DieAt {
    fn step(&self, _engine: u32, _medium: StorageMedium, step: &str) {
        use std::io::Write;
        let mut steps = fs::File::options().create(true).append(true).open(&self.steps).unwrap();
        writeln!(steps, "{step}").unwrap();
        if self.taken.fetch_add(1, Ordering::SeqCst) == self.step {
            let own = rustix::process::getpid();
            rustix::process::kill_process(own, rustix::process::Signal::KILL).unwrap();
            loop {
                std::thread::park();
            }
        }
    }
}

/// What the parent tells the child, as text.
fn to_text(layout: &Layout, request: FormatRequest, step: usize) -> String {
    let device = layout.device.as_deref().unwrap_or(Path::new("-")).display().to_string();
    [
        layout.form.name().to_owned(),
        layout.files.display().to_string(),
        layout.engines.to_string(),
        layout.metadata.to_string(),
        device,
        layout.ram_bytes.to_string(),
        request.reformat.to_string(),
        step.to_string(),
    ]
    .join("\t")
}

fn from_text(text: &str) -> Option<(Layout, FormatRequest, usize)> {
    let parts: Vec<&str> = text.split('\t').collect();
    let [form, files, engines, metadata, device, ram_bytes, reformat, step] = parts[..] else {
        return None;
    };
    let layout = Layout {
        form: Form::parse(form)?,
        files: files.into(),
        engines: engines.parse().ok()?,
        metadata: metadata.parse().ok()?,
        device: (device != "-").then(|| device.into()),
        ram_bytes: ram_bytes.parse().ok()?,
    };
    Some((
        layout,
        FormatRequest { reformat: reformat.parse().ok()?, replace: false },
        step.parse().ok()?,
    ))
}

/// Not a test: what the crash tests run in a process of its own.
#[test]
#[ignore = "started by the crash tests"]
fn child_formats_and_dies() {
    let Ok(text) = std::env::var("DAOS_FORMAT_CHILD") else { return };
    let (layout, request, step) = from_text(&text).expect("what the parent wrote");
    let steps = layout.files.join("steps");
    let watcher = Arc::new(DieAt { step, taken: AtomicUsize::new(0), steps });
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let report = runtime.block_on(layout.service_watched(watcher).apply(request, None));
    assert_eq!(report.expect("a report").ready().len(), layout.engines as usize);
}

/// Runs the format in a child that dies at `step`; the steps it came to, and whether it was killed.
fn run_child(layout: &Layout, request: FormatRequest, step: usize) -> (Vec<String>, bool) {
    let steps = layout.files.join("steps");
    let _ = fs::remove_file(&steps);
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["crash::child_formats_and_dies", "--exact", "--ignored", "--nocapture"])
        .env("DAOS_FORMAT_CHILD", to_text(layout, request, step))
        .output()
        .unwrap();
    let killed = output.status.signal() == Some(9);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(killed || output.status.success(), "{:?}\n{said}", output.status);
    let steps = fs::read_to_string(&steps).unwrap_or_default();
    (steps.lines().map(str::to_owned).collect(), killed)
}

/// What a crash test varies.
#[derive(Debug, Clone, Copy)]
struct Case {
    form: Form,
    /// Format an engine that was formatted and used before.
    again: bool,
    metadata: bool,
    /// The host restarts as well, not only the server.
    reboot: bool,
}

async fn crash_everywhere(test: &str, case: Case) {
    let request = if case.again { REFORMAT } else { PLAIN };
    let Some(steps) = dry_pass(test, case, request).await else { return };
    let superblock = position(&steps, "write the superblock");
    let config = position(&steps, "write the device configuration");
    assert!(position(&steps, "write the format mark") < config && config < superblock, "{steps:?}");
    assert_eq!(superblock + 2, steps.len(), "only the mark is removed after it: {steps:?}");
    for step in 0..steps.len() {
        let host = prepare(test, case).await.unwrap();
        let before = host.superblock(0);
        let (taken, killed) = run_child(&host, request, step);
        assert!(killed && taken.len() == step + 1, "step {step} of {steps:?}: {taken:?}");
        if case.reboot {
            host.reboot();
        }
        let about = format!("{case:?}, killed at {step} ({})", steps[step]);
        after_crash(
            &host,
            &about,
            Crash {
                untouched: step == 0,
                whole: step > superblock,
                before: before.map(|superblock| superblock.uuid),
                case,
            },
        )
        .await;
    }
}

fn position(steps: &[String], words: &str) -> usize {
    steps
        .iter()
        .position(|step| step.contains(words))
        .unwrap_or_else(|| panic!("{words}: {steps:?}"))
}

async fn prepare(test: &str, case: Case) -> Option<Host> {
    let mut host = Host::new(test, case.form, 1).await?;
    if case.metadata {
        host = host.with_metadata();
    }
    fs::write(host.files.join("neighbour"), FOREIGN).unwrap();
    if case.again {
        assert_eq!(host.service().apply(PLAIN, None).await.unwrap().ready(), [0]);
        use_storage(&host, 0);
    }
    Some(host)
}

/// All steps of a format that is not cut off.
async fn dry_pass(test: &str, case: Case, request: FormatRequest) -> Option<Vec<String>> {
    let host = prepare(test, case).await?;
    let (steps, killed) = run_child(&host, request, usize::MAX);
    assert!(!killed && steps.len() > 5, "{steps:?}");
    assert_eq!(host.service().bring_up(0).await, BroughtUp::Ready);
    Some(steps)
}

struct Crash {
    /// The format had not begun.
    untouched: bool,
    /// The superblock was written.
    whole: bool,
    /// Identity before the format, if any.
    before: Option<uuid::Uuid>,
    case: Case,
}

async fn reformat(service: &FormatService, about: &str) {
    let report = service.apply(REFORMAT, None).await.unwrap();
    assert_eq!(report.ready(), [0], "{about}: {report:?}");
}

/// The restart after a crash.
async fn after_crash(host: &Host, about: &str, crash: Crash) {
    let service = host.service();
    // Contents of RAM are gone after a reboot unless what counts is on disk.
    let kept = !crash.case.reboot || crash.case.metadata || crash.case.form == Form::Loop;
    let old_one = crash.untouched && crash.before.is_some();
    let may_start = kept && (old_one || crash.whole);
    let brought_up = service.bring_up(0).await;
    assert_eq!(brought_up == BroughtUp::Ready, may_start, "{about}: {brought_up:?}");
    if may_start {
        let uuid = host.superblock(0).unwrap().uuid;
        assert_eq!(Some(uuid) == crash.before, old_one, "{about}");
        assert!(!host.journal().load(0).is_set(), "{about}: the mark is settled");
        assert!(host.home(0).device_config().exists(), "{about}");
    } else if !crash.untouched && !crash.whole {
        let unknown = matches!(brought_up, BroughtUp::Waiting(WaitReason::Interrupted { .. }));
        assert!(unknown, "{about}: {brought_up:?}");
    }
    let plan = service.plan(PLAIN).await.unwrap();
    match &plan.engines[0].verdict {
        Verdict::AlreadyFormatted(_) => assert!(may_start, "{about}: {plan:?}"),
        Verdict::Format(_) => {
            let report = service.apply(PLAIN, None).await.unwrap();
            // Data of the engine that was there before waits for a reformat, on each device by itself.
            if report.ready().is_empty() && crash.case.again {
                reformat(&service, about).await;
            } else {
                assert_eq!(report.ready(), [0], "{about}: {report:?}");
            }
        }
        Verdict::Refused(fault) => {
            assert!(crash.case.again, "{about}: a first format needs no reformat: {fault}");
            reformat(&service, about).await;
        }
    }
    assert_eq!(host.service().bring_up(0).await, BroughtUp::Ready, "{about}");
    assert!(!host.journal().load(0).is_set(), "{about}");
    let neighbour = fs::read_to_string(host.files.join("neighbour")).unwrap();
    assert_eq!(neighbour, FOREIGN, "{about}");
}

macro_rules! crash_test {
    ($name:ident, $form:ident, again: $again:expr, metadata: $metadata:expr, reboot: $reboot:expr) => {
        #[tokio::test]
        async fn $name() {
            let case =
                Case { form: Form::$form, again: $again, metadata: $metadata, reboot: $reboot };
            crash_everywhere(stringify!($name), case).await;
        }
    };
}

crash_test!(first_format_of_a_directory, Directory, again: false, metadata: false, reboot: false);
crash_test!(reformat_of_a_directory, Directory, again: true, metadata: false, reboot: false);
crash_test!(first_format_of_a_directory_with_metadata, Directory, again: false, metadata: true, reboot: true);
crash_test!(first_format_of_a_tmpfs, Tmpfs, again: false, metadata: false, reboot: false);
crash_test!(first_format_of_a_tmpfs_and_reboot, Tmpfs, again: false, metadata: false, reboot: true);
crash_test!(reformat_of_a_tmpfs, Tmpfs, again: true, metadata: false, reboot: false);
crash_test!(reformat_of_a_tmpfs_with_metadata, Tmpfs, again: true, metadata: true, reboot: false);
crash_test!(reformat_of_a_tmpfs_with_metadata_and_reboot, Tmpfs, again: true, metadata: true, reboot: true);
crash_test!(first_format_of_a_device, Loop, again: false, metadata: false, reboot: true);
crash_test!(reformat_of_a_device, Loop, again: true, metadata: false, reboot: false);
crash_test!(reformat_of_a_device_and_reboot, Loop, again: true, metadata: false, reboot: true);
