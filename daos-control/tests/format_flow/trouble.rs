//! What goes wrong around a format: two at once, changed storage, full and closed directories, foreign data.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use async_trait::async_trait;
use daos_control::Fault;
use daos_control::format::{
    BroughtUp, FormatError, FormatParts, FormatService, FormatWatcher, Journal, MarkState,
    StorageMedium, SystemDatabase,
};
use daos_control::start_table::WaitReason;

use crate::host::{
    Form, Host, PLAIN, REFORMAT, lines, may_mount, mount_tmpfs, unmount, use_storage,
};

/// Every file below a directory with its bytes, links not followed; block files by their first MiB.
fn snapshot(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                found.push((entry.path(), first_mebibyte(&entry.path())));
            }
        }
    }
    found.sort();
    found
}

fn first_mebibyte(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    fs::File::open(path).unwrap().take(1 << 20).read_to_end(&mut bytes).unwrap();
    bytes
}

/// Holds the format at its first step until it is let go.
#[derive(Debug, Default)]
struct Hold {
    at_first_step: AtomicBool,
    reached: tokio::sync::Notify,
    let_go: (Mutex<bool>, Condvar),
}

impl Hold {
    fn release(&self) {
        *self.let_go.0.lock().unwrap() = true;
        self.let_go.1.notify_all();
    }
}

impl FormatWatcher for Hold {
    fn step(&self, _engine: u32, _medium: StorageMedium, _step: &str) {
        if !self.at_first_step.swap(true, Ordering::SeqCst) {
            self.reached.notify_one();
            let released = self.let_go.0.lock().unwrap();
            drop(self.let_go.1.wait_while(released, |released| !*released).unwrap());
        }
    }
}

/// W2, W4: two at once, one runs and the other is told so; no plan is made meanwhile either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn second_format_at_the_same_time_is_told_so() {
    let test = "second_format_at_the_same_time_is_told_so";
    let Some(host) = Host::new(test, Form::Directory, 1).await else { return };
    let hold = Arc::new(Hold::default());
    let service = host.service_watched(hold.clone());
    let first = tokio::spawn({
        let service = service.clone();
        async move { service.apply(PLAIN, None).await }
    });
    hold.reached.notified().await;
    assert_eq!(service.apply(REFORMAT, None).await.unwrap_err(), FormatError::Busy);
    assert_eq!(service.plan(PLAIN).await.unwrap_err().code(), 1240);
    hold.release();
    let report = first.await.unwrap().unwrap();
    assert_eq!(report.ready(), [0]);
    assert_eq!(lines(&service.apply(PLAIN, None).await.unwrap())[0], "0 scm already_formatted 101");
}

/// A client that goes away does not leave a half-made engine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn format_runs_to_its_end_without_its_client() {
    let test = "format_runs_to_its_end_without_its_client";
    let Some(host) = Host::new(test, Form::Directory, 1).await else { return };
    let hold = Arc::new(Hold::default());
    let (parts, mut ready) = host.parts();
    let service = FormatService::new(FormatParts { watcher: hold.clone(), ..parts });
    let client = tokio::spawn({
        let service = service.clone();
        async move { service.apply(PLAIN, None).await }
    });
    hold.reached.notified().await;
    client.abort();
    assert!(client.await.unwrap_err().is_cancelled());
    hold.release();
    assert!(ready.recv().await.unwrap().formatted);
    service.drain().await;
    assert_eq!(service.bring_up(0).await, BroughtUp::Ready);
}

/// What was shown is what is done, or nothing is.
#[tokio::test]
async fn changed_storage_is_refused_and_left_as_it_is() {
    let test = "changed_storage_is_refused_and_left_as_it_is";
    let Some(host) = Host::new(test, Form::Directory, 1).await else { return };
    let service = host.service();
    let shown = service.plan(PLAIN).await.unwrap().digest().to_owned();
    fs::write(host.bdev(0), "somebody else's data").unwrap();
    let before = snapshot(&host.files);
    let error = service.apply(PLAIN, Some(&shown)).await.unwrap_err();
    assert_eq!(error.code(), 1241);
    assert_eq!(snapshot(&host.files), before);
    assert!(!host.mount(0).exists());
    assert!(!host.journal().load(0).is_set());
}

/// A foreign file is kept byte for byte, named with its device, and stops no other device (R147); the engine waits
/// and a plain format finishes what was begun (W5).
#[tokio::test]
async fn foreign_block_file_is_kept_and_the_rest_is_finished_later() {
    let test = "foreign_block_file_is_kept_and_the_rest_is_finished_later";
    let Some(host) = Host::new(test, Form::Directory, 1).await else { return };
    let service = host.service();
    let foreign = fs::File::create(host.bdev(0)).unwrap();
    foreign.set_len(1 << 30).unwrap();
    (&foreign).write_all(b"somebody else's data").unwrap();
    let before = first_mebibyte(&host.bdev(0));
    for _ in 0..2 {
        let report = service.apply(PLAIN, None).await.unwrap();
        assert_eq!(lines(&report), ["0 scm formatted", "0 nvme failed 1226"]);
        assert_eq!(report.ready(), Vec::<u32>::new());
        assert_eq!(first_mebibyte(&host.bdev(0)), before);
        assert!(host.superblock(0).is_none());
        assert!(matches!(
            service.bring_up(0).await,
            BroughtUp::Waiting(WaitReason::Interrupted { .. })
        ));
    }
    fs::rename(host.bdev(0), host.files.join("elsewhere")).unwrap();
    assert_eq!(service.apply(PLAIN, None).await.unwrap().ready(), [0]);
    assert_eq!(service.bring_up(0).await, BroughtUp::Ready);
    assert_eq!(first_mebibyte(&host.files.join("elsewhere")), before);
}

/// W6, R92, R131: a bad engine hides and stops no other.
#[tokio::test]
async fn bad_engine_stops_no_other() {
    let Some(host) = Host::new("bad_engine_stops_no_other", Form::Directory, 2).await else {
        return;
    };
    fs::create_dir(host.mount(0)).unwrap();
    fs::write(host.mount(0).join("thesis.tex"), "years of work").unwrap();
    let service = host.service();
    let report = service.apply(PLAIN, None).await.unwrap();
    assert_eq!(
        lines(&report),
        ["0 scm failed 1203", "0 nvme skipped", "1 scm formatted", "1 nvme formatted"]
    );
    assert_eq!(service.bring_up(1).await, BroughtUp::Ready);
    assert_eq!(fs::read(host.mount(0).join("thesis.tex")).unwrap(), b"years of work");
}

/// A formatted engine is not given up when the plan already knows that a device is in the way.
#[tokio::test]
async fn formatted_engine_survives_a_reformat_that_cannot_complete() {
    let test = "formatted_engine_survives_a_reformat_that_cannot_complete";
    let Some(host) = Host::new(test, Form::Directory, 1).await else { return };
    let service = host.service();
    service.apply(PLAIN, None).await.unwrap();
    use_storage(&host, 0);
    fs::remove_file(host.bdev(0)).unwrap();
    fs::create_dir(host.bdev(0)).unwrap();
    let before = snapshot(&host.mount(0));
    let report = service.apply(REFORMAT, None).await.unwrap();
    assert_eq!(lines(&report), ["0 scm failed 1249", "0 nvme failed 1228"]);
    assert_eq!(snapshot(&host.mount(0)), before);
    assert_eq!(service.bring_up(0).await, BroughtUp::Ready);
}

/// W1, W46: contents without a superblock are listed and kept, in the directory form also from reformat.
#[tokio::test]
async fn directory_with_other_contents_is_refused_and_kept() {
    let test = "directory_with_other_contents_is_refused_and_kept";
    let Some(host) = Host::new(test, Form::Directory, 1).await else { return };
    fs::create_dir(host.mount(0)).unwrap();
    fs::write(host.mount(0).join("thesis.tex"), "years of work").unwrap();
    let service = host.service();
    let BroughtUp::Refused(fault) = service.bring_up(0).await else { panic!("not refused") };
    assert_eq!(fault.code, 1248);
    assert!(fault.description.contains("thesis.tex"), "{fault}");
    for request in [PLAIN, REFORMAT] {
        let report = service.apply(request, None).await.unwrap();
        assert_eq!(lines(&report), ["0 scm failed 1203", "0 nvme skipped"]);
    }
    assert_eq!(
        snapshot(&host.mount(0)),
        [(host.mount(0).join("thesis.tex"), b"years of work".to_vec())]
    );
    assert!(!host.bdev(0).exists());
    assert!(!host.journal().load(0).is_set());
}

/// The same on a tmpfs mounted at the path itself: listed and kept until reformat.
#[tokio::test]
async fn mount_with_other_contents_is_refused_until_reformat() {
    let test = "mount_with_other_contents_is_refused_until_reformat";
    let Some(host) = Host::new(test, Form::Tmpfs, 1).await else { return };
    fs::create_dir(host.mount(0)).unwrap();
    assert!(mount_tmpfs(&host.mount(0), 1 << 20, false));
    let service = host.service();
    assert_eq!(service.bring_up(0).await, BroughtUp::Waiting(WaitReason::NoSuperblock));
    fs::write(host.mount(0).join("thesis.tex"), "years of work").unwrap();
    assert!(matches!(
        service.bring_up(0).await,
        BroughtUp::Waiting(WaitReason::ContentsWithoutSuperblock { .. })
    ));
    let report = service.apply(PLAIN, None).await.unwrap();
    assert_eq!(lines(&report), ["0 scm failed 1203", "0 nvme skipped"]);
    assert_eq!(fs::read(host.mount(0).join("thesis.tex")).unwrap(), b"years of work");
    assert_eq!(service.apply(REFORMAT, None).await.unwrap().ready(), [0]);
}

/// W46: an empty mount is adopted by a plain format.
#[tokio::test]
async fn empty_mount_is_adopted_by_a_plain_format() {
    let test = "empty_mount_is_adopted_by_a_plain_format";
    let Some(host) = Host::new(test, Form::Tmpfs, 1).await else { return };
    fs::create_dir(host.mount(0)).unwrap();
    assert!(mount_tmpfs(&host.mount(0), 1 << 20, false));
    let report = host.service().apply(PLAIN, None).await.unwrap();
    assert_eq!(report.ready(), [0], "{report:?}");
}

/// W13: an unreadable superblock is kept through start and plain format, and taken only by reformat.
#[tokio::test]
async fn unreadable_superblock_is_kept() {
    let Some(host) = Host::new("unreadable_superblock_is_kept", Form::Directory, 1).await else {
        return;
    };
    host.service().apply(PLAIN, None).await.unwrap();
    let path = host.home(0).superblock();
    fs::write(&path, "version: 1\nuuid: 7c7f").unwrap();
    let (mut parts, _ready) = host.parts();
    parts.targets.recreate_superblocks = true;
    let service = FormatService::new(parts);
    assert!(matches!(
        service.bring_up(0).await,
        BroughtUp::Waiting(WaitReason::SuperblockUnreadable { .. })
    ));
    let report = service.apply(PLAIN, None).await.unwrap();
    assert_eq!(lines(&report), ["0 scm failed 1244", "0 nvme skipped"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "version: 1\nuuid: 7c7f");
    assert_eq!(service.apply(REFORMAT, None).await.unwrap().ready(), [0]);
}

/// No mark, no format.
#[tokio::test]
async fn state_directory_that_cannot_be_written_stops_the_format() {
    let test = "state_directory_that_cannot_be_written_stops_the_format";
    let Some(host) = Host::new(test, Form::Directory, 1).await else { return };
    host.service().apply(PLAIN, None).await.unwrap();
    use_storage(&host, 0);
    let before = snapshot(&host.mount(0));
    let (parts, _ready) = host.parts();
    // Nobody can make a directory in /proc, root neither.
    let journal = Journal::new(Path::new("/proc/daos_state"));
    let service = FormatService::new(FormatParts { journal, ..parts });
    let report = service.apply(REFORMAT, None).await.unwrap();
    assert_eq!(lines(&report), ["0 scm failed 1242", "0 nvme skipped"]);
    assert_eq!(snapshot(&host.mount(0)), before);
    assert_eq!(service.bring_up(0).await, BroughtUp::Ready);
}

#[tokio::test]
async fn full_or_read_only_state_directory_stops_the_format() {
    let test = "full_or_read_only_state_directory_stops_the_format";
    let Some(host) = Host::new(test, Form::Directory, 1).await else { return };
    if !may_mount(&host.files) {
        eprintln!("{test}: skipped: needs root");
        return;
    }
    for read_only in [false, true] {
        assert!(mount_tmpfs(&host.state_dir(), 4096, read_only));
        // One page is all there is.
        let full = fs::write(host.state_dir().join("filler"), [0; 4096]);
        assert_eq!(full.is_err(), read_only);
        let report = host.service().apply(PLAIN, None).await.unwrap();
        assert_eq!(lines(&report), ["0 scm failed 1242", "0 nvme skipped"]);
        let fault = report.rows().next().unwrap().outcome.fault().unwrap().clone();
        assert_eq!(fault.resolution.contains("make room"), !read_only, "{fault:?}");
        assert!(!host.mount(0).exists());
        assert!(matches!(host.journal().load(0), MarkState::Clear));
        unmount(&host.state_dir());
    }
}

/// A full SCM leaves no superblock, a named error, and an engine that a later format completes.
#[tokio::test]
async fn full_scm_fails_cleanly_and_is_formatted_later() {
    let test = "full_scm_fails_cleanly_and_is_formatted_later";
    let Some(mut host) = Host::new(test, Form::Tmpfs, 1).await else { return };
    // The device config fits, the superblock does not.
    host.layout.ram_bytes = 4096;
    let report = host.service().apply(PLAIN, None).await.unwrap();
    assert_eq!(lines(&report), ["0 scm failed 1245", "0 nvme formatted"]);
    let files: Vec<_> = snapshot(&host.mount(0)).into_iter().map(|(path, _)| path).collect();
    assert_eq!(files, [host.home(0).device_config()], "no half-written superblock stays");
    assert!(matches!(
        host.service().bring_up(0).await,
        BroughtUp::Waiting(WaitReason::Interrupted { .. })
    ));
    unmount(&host.mount(0));
    host.layout.ram_bytes = 1 << 20;
    assert_eq!(host.service().apply(PLAIN, None).await.unwrap().ready(), [0]);
}

#[derive(Debug)]
struct Database {
    refuses: bool,
    closed: AtomicBool,
}

#[async_trait]
impl SystemDatabase for Database {
    async fn close(&self) -> Result<(), Fault> {
        self.closed.store(true, Ordering::SeqCst);
        match self.refuses {
            true => Err(Fault::new("system", 0, "busy", "try again")),
            false => Ok(()),
        }
    }

    async fn reopen(&self) -> Result<(), Fault> {
        self.closed.store(false, Ordering::SeqCst);
        Ok(())
    }
}

/// The system goes with the storage it lies on: the plan says so, and it is closed first.
#[tokio::test]
async fn system_database_is_closed_before_its_storage_goes() {
    let test = "system_database_is_closed_before_its_storage_goes";
    let Some(host) = Host::new(test, Form::Directory, 1).await else { return };
    host.service().apply(PLAIN, None).await.unwrap();
    fs::create_dir(host.home(0).system_database()).unwrap();
    fs::write(host.home(0).system_database().join("daos_system.db"), "members").unwrap();
    let before = snapshot(&host.mount(0));
    for refuses in [true, false] {
        let database = Arc::new(Database { refuses, closed: AtomicBool::new(false) });
        let (parts, _ready) = host.parts();
        let service = FormatService::new(FormatParts { system: database.clone(), ..parts });
        let plan = service.plan(REFORMAT).await.unwrap();
        assert!(plan.engines[0].system_lost && plan.destroys());
        assert!(!database.closed.load(Ordering::SeqCst), "a plan closes nothing");
        let report = service.apply(REFORMAT, None).await.unwrap();
        // What could not be closed is open.
        assert_eq!(database.closed.load(Ordering::SeqCst), !refuses);
        if refuses {
            assert_eq!(lines(&report), ["0 scm failed 1253", "0 nvme skipped"]);
            assert_eq!(snapshot(&host.mount(0)), before);
            assert!(!host.journal().load(0).is_set());
        } else {
            assert_eq!(report.ready(), [0]);
            assert!(!host.home(0).system_database().exists());
        }
    }
}

/// A mount that somebody uses is left as it is, and so is all that belongs to it: a format that did nothing leaves
/// neither a mark nor a system that is closed nor metadata without its superblock.
#[tokio::test]
async fn busy_mount_costs_nothing() {
    let test = "busy_mount_costs_nothing";
    for metadata in [false, true] {
        let Some(mut host) = Host::new(test, Form::Tmpfs, 1).await else { return };
        if metadata {
            host = host.with_metadata();
        }
        assert_eq!(host.service().apply(PLAIN, None).await.unwrap().ready(), [0]);
        fs::create_dir_all(host.home(0).system_database()).unwrap();
        fs::write(host.home(0).system_database().join("daos_system.db"), "members").unwrap();
        let uuid = host.superblock(0).unwrap().uuid;
        let mut sleeper = std::process::Command::new("sleep");
        let mut sleeper = sleeper.arg("600").current_dir(host.mount(0)).spawn().unwrap();

        let database = Arc::new(Database { refuses: false, closed: AtomicBool::new(false) });
        let (parts, _ready) = host.parts();
        let service = FormatService::new(FormatParts { system: database.clone(), ..parts });
        let report = service.apply(REFORMAT, None).await.unwrap();
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();

        assert_eq!(lines(&report), ["0 scm failed 1200", "0 nvme skipped"], "{report:?}");
        assert_eq!(host.superblock(0).unwrap().uuid, uuid);
        assert!(!host.journal().load(0).is_set());
        assert!(!database.closed.load(Ordering::SeqCst), "the system was not opened again");
        assert_eq!(service.bring_up(0).await, BroughtUp::Ready);
    }
}

/// Row D5: without a mount and without the right to make one the engine is refused.
#[tokio::test]
async fn directory_on_another_file_system_is_refused() {
    let test = "directory_on_another_file_system_is_refused";
    let Some(mut host) = Host::new(test, Form::Directory, 1).await else { return };
    // The files of the test lie on a disk, the mount point below a directory there.
    host.layout.form = Form::Tmpfs;
    let mount = host.mount(0);
    host.layout.form = Form::Directory;
    let (mut parts, _ready) = host.parts();
    let ram = daos_storage_scm::RamSpec {
        form: daos_storage_scm::RamForm::Directory,
        ..daos_storage_scm::RamSpec::default()
    };
    let params = daos_storage_scm::ScmParams {
        mount_point: mount.clone(),
        ram: Some(ram),
        ..daos_storage_scm::ScmParams::default()
    };
    parts.targets.engines[0].scm = daos_storage_scm::ScmTarget::from_params(params).unwrap();
    parts.targets.engines[0].home = daos_control::superblock::EngineHome::ScmMount(mount.clone());
    let service = FormatService::new(parts);
    for exists in [false, true] {
        if exists {
            fs::create_dir(&mount).unwrap();
        }
        let BroughtUp::Refused(fault) = service.bring_up(0).await else { panic!("not refused") };
        assert_eq!(fault.code, 1247);
        assert!(fault.description.contains("not mounted"), "{fault}");
        let report = service.apply(PLAIN, None).await.unwrap();
        assert_eq!(lines(&report)[0], "0 scm failed 1206");
    }
}
