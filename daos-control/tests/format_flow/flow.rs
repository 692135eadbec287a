//! The ordinary course of a format and of a start.

use std::fs;
use std::sync::Arc;

use daos_control::format::{BroughtUp, FormatError, FormatParts, FormatService, StorageReady};
use daos_control::start_table::WaitReason;

use crate::host::{Form, Host, PLAIN, REFORMAT, lines, mode_of, use_storage};

/// R3, R116-R120, R126, R150, R151: waits, is formatted, starts.
async fn fresh_format(test: &str, form: Form) {
    let Some(host) = Host::new(test, form, 1).await else { return };
    let (parts, mut ready) = host.parts();
    let service = FormatService::new(parts);
    let waiting = service.bring_up(0).await;
    assert_eq!(waiting, BroughtUp::Waiting(WaitReason::NotMounted));

    let plan = service.plan(PLAIN).await.unwrap();
    assert!(!plan.destroys(), "{plan:?}");
    let shown = plan.digest().to_owned();
    assert!(host.superblock(0).is_none(), "a plan changes nothing");
    let report = service.apply(PLAIN, Some(&shown)).await.unwrap();
    assert_eq!(lines(&report), ["0 scm formatted", "0 nvme formatted"]);
    assert_eq!(report.ready(), [0]);
    let told = ready.recv().await.unwrap();
    assert_eq!(told, StorageReady { index: 0, replace: false, formatted: true });

    let superblock = host.superblock(0).unwrap();
    assert_eq!((superblock.rank, superblock.valid_rank), (None, false));
    assert_eq!(superblock.system, "daos_server");
    assert_eq!(mode_of(&host.home(0).superblock()), 0o660);
    assert!(fs::read_to_string(host.home(0).device_config()).unwrap().contains("AIO_n1_0_1_0"));
    assert_eq!(fs::metadata(host.bdev(0)).unwrap().len(), 1 << 30);
    assert!(!host.journal().load(0).is_set(), "the mark is gone");
    assert_eq!(host.service().bring_up(0).await, BroughtUp::Ready);
}

#[tokio::test]
async fn fresh_format_of_a_directory() {
    fresh_format("fresh_format_of_a_directory", Form::Directory).await;
}

#[tokio::test]
async fn fresh_format_of_a_tmpfs() {
    fresh_format("fresh_format_of_a_tmpfs", Form::Tmpfs).await;
}

#[tokio::test]
async fn fresh_format_of_a_device() {
    fresh_format("fresh_format_of_a_device", Form::Loop).await;
}

/// Row C6: a device with our file system is mounted at start.
#[tokio::test]
async fn formatted_device_is_mounted_after_a_reboot() {
    let test = "formatted_device_is_mounted_after_a_reboot";
    let Some(host) = Host::new(test, Form::Loop, 1).await else { return };
    host.service().apply(PLAIN, None).await.unwrap();
    let before = host.superblock(0).unwrap();
    host.reboot();
    assert!(host.superblock(0).is_none());
    assert_eq!(host.service().bring_up(0).await, BroughtUp::Ready);
    assert_eq!(host.superblock(0).unwrap(), before);
}

/// R5, R130, fault 101: the second format says so and touches nothing; reformat makes a new identity.
async fn second_format(test: &str, form: Form) {
    let Some(host) = Host::new(test, form, 1).await else { return };
    let (parts, mut ready) = host.parts();
    let service = FormatService::new(parts);
    service.apply(PLAIN, None).await.unwrap();
    use_storage(&host, 0);
    let before = host.superblock(0).unwrap();
    let report = service.apply(PLAIN, None).await.unwrap();
    assert_eq!(lines(&report), ["0 scm already_formatted 101", "0 nvme skipped"]);
    assert_eq!(host.superblock(0).unwrap(), before);
    assert!(host.mount(0).join("2f1c8ad2-pool/shard").exists());
    assert!(ready.recv().await.unwrap().formatted);
    assert!(!ready.recv().await.unwrap().formatted, "a waiting engine may go on, no more");

    let plan = service.plan(REFORMAT).await.unwrap();
    assert!(plan.destroys());
    let report = service.apply(REFORMAT, Some(plan.digest())).await.unwrap();
    assert_eq!(lines(&report), ["0 scm formatted", "0 nvme formatted"]);
    assert_ne!(host.superblock(0).unwrap().uuid, before.uuid);
    assert!(!host.mount(0).join("2f1c8ad2-pool").exists());
    assert_eq!(service.bring_up(0).await, BroughtUp::Ready);
}

#[tokio::test]
async fn second_format_of_a_directory() {
    second_format("second_format_of_a_directory", Form::Directory).await;
}

#[tokio::test]
async fn second_format_of_a_tmpfs() {
    second_format("second_format_of_a_tmpfs", Form::Tmpfs).await;
}

#[tokio::test]
async fn second_format_of_a_device() {
    second_format("second_format_of_a_device", Form::Loop).await;
}

/// R123, row D6: a tmpfs prepared by hand, here a directory on one.
#[tokio::test]
async fn empty_directory_gets_a_superblock_and_starts() {
    let test = "empty_directory_gets_a_superblock_and_starts";
    let Some(host) = Host::new(test, Form::Directory, 1).await else { return };
    fs::create_dir(host.mount(0)).unwrap();
    assert_eq!(host.service().bring_up(0).await, BroughtUp::Ready);
    assert!(host.superblock(0).is_some());
    assert!(host.home(0).device_config().exists());
    assert_eq!(fs::metadata(host.bdev(0)).unwrap().len(), 1 << 30);
}

/// Contract 5.4, 7.3: metadata on disk outlives the RAM.
async fn metadata_on_disk(test: &str, form: Form) {
    let Some(host) = Host::new(test, form, 1).await else { return };
    let host = host.with_metadata();
    let service = host.service();
    assert!(matches!(
        service.bring_up(0).await,
        BroughtUp::Waiting(WaitReason::MetadataMissing { .. })
    ));
    let report = service.apply(PLAIN, None).await.unwrap();
    assert_eq!(lines(&report), ["0 metadata formatted", "0 scm formatted", "0 nvme formatted"]);
    let before = host.superblock(0).unwrap();
    assert!(!host.mount(0).join("superblock").exists());
    host.reboot();
    assert!(!host.mount(0).exists() || fs::read_dir(host.mount(0)).unwrap().next().is_none());
    assert_eq!(host.service().bring_up(0).await, BroughtUp::Ready);
    assert_eq!(host.superblock(0).unwrap(), before);
    assert_eq!(
        lines(&host.service().apply(PLAIN, None).await.unwrap())[0],
        "0 scm already_formatted 101"
    );
    host.service().apply(REFORMAT, None).await.unwrap();
    assert_ne!(host.superblock(0).unwrap().uuid, before.uuid);
}

#[tokio::test]
async fn metadata_on_disk_outlives_a_directory() {
    metadata_on_disk("metadata_on_disk_outlives_a_directory", Form::Directory).await;
}

#[tokio::test]
async fn metadata_on_disk_outlives_a_tmpfs() {
    metadata_on_disk("metadata_on_disk_outlives_a_tmpfs", Form::Tmpfs).await;
}

/// Waiting, refusal and start are per engine: one is formatted again while the other runs.
#[tokio::test]
async fn engine_is_formatted_again_while_the_other_runs() {
    let test = "engine_is_formatted_again_while_the_other_runs";
    let Some(host) = Host::new(test, Form::Directory, 2).await else { return };
    let report = host.service().apply(PLAIN, None).await.unwrap();
    assert_eq!(report.ready(), [0, 1]);
    let before = [host.superblock(0).unwrap(), host.superblock(1).unwrap()];
    let (parts, _ready) = host.parts();
    let service = FormatService::new(FormatParts { storage: Arc::new(EngineZeroRuns), ..parts });
    let report = service.apply(REFORMAT, None).await.unwrap();
    assert_eq!(
        lines(&report),
        ["0 scm failed 1246", "0 nvme skipped", "1 scm formatted", "1 nvme formatted"]
    );
    assert_eq!(host.superblock(0).unwrap(), before[0]);
    assert_ne!(host.superblock(1).unwrap().uuid, before[1].uuid);
}

#[derive(Debug)]
struct EngineZeroRuns;

#[async_trait::async_trait]
impl daos_control::format::StorageUse for EngineZeroRuns {
    async fn hold(&self, index: u32) -> Result<daos_control::format::StorageHold, String> {
        if index == 0 { Err("running".into()) } else { Ok(Box::new(())) }
    }
}

/// Contract 6.9: after a reset of the format a plain format takes what is left.
#[tokio::test]
async fn reset_engine_waits_and_is_formatted_plainly() {
    let test = "reset_engine_waits_and_is_formatted_plainly";
    let Some(host) = Host::new(test, Form::Directory, 1).await else { return };
    let service = host.service();
    service.apply(PLAIN, None).await.unwrap();
    use_storage(&host, 0);
    assert!(service.reset(0).await.unwrap());
    assert_eq!(host.service().bring_up(0).await, BroughtUp::Waiting(WaitReason::Reset));
    let plan = service.plan(PLAIN).await.unwrap();
    assert!(plan.destroys(), "what is left is shown as lost");
    let report = service.apply(PLAIN, None).await.unwrap();
    assert_eq!(report.ready(), [0], "{report:?}");
    assert_eq!(service.bring_up(0).await, BroughtUp::Ready);
}

/// R130: the device config of today's configuration is written at start, the file of a former one replaced.
#[tokio::test]
async fn device_config_is_made_anew_at_start() {
    let test = "device_config_is_made_anew_at_start";
    let Some(host) = Host::new(test, Form::Directory, 1).await else { return };
    host.service().apply(PLAIN, None).await.unwrap();
    let path = host.home(0).device_config();
    let whole = fs::read(&path).unwrap();
    fs::write(&path, "damaged").unwrap();
    assert_eq!(host.service().bring_up(0).await, BroughtUp::Ready);
    assert_eq!(fs::read(&path).unwrap(), whole);
}

/// R148: start and finish of each class, every step, and the key words of the samples.
#[tokio::test]
async fn log_tells_the_steps_of_a_format() {
    let test = "log_tells_the_steps_of_a_format";
    let Some(host) = Host::new(test, Form::Directory, 1).await else { return };
    crate::log::collect();
    let service = host.service();
    service.bring_up(0).await;
    service.apply(PLAIN, None).await.unwrap();
    service.bring_up(0).await;
    // The runtime of the test has one thread, this one.
    let lines = crate::log::lines();
    let mut rest = lines.iter();
    for words in [
        "waiting for storage format on server 0",
        "write the format mark",
        "performing scm format",
        "create directory",
        "scm format on server 0 finished",
        "performing nvme format on server 0, may take several minutes",
        "create file of 1073741824 bytes",
        "nvme format on server 0 finished",
        "write the device configuration",
        "write the superblock",
        "remove the format mark",
        "storage format successful on server 0",
        "server 0 has already been formatted",
    ] {
        assert!(rest.any(|line| line.contains(words)), "{words}, in this order: {lines:#?}");
    }
}

#[tokio::test]
async fn replace_needs_an_engine_that_needs_a_format() {
    let test = "replace_needs_an_engine_that_needs_a_format";
    let Some(host) = Host::new(test, Form::Directory, 1).await else { return };
    let (parts, mut ready) = host.parts();
    let service = FormatService::new(parts);
    let replace = daos_control::format::FormatRequest { replace: true, ..PLAIN };
    service.apply(replace, None).await.unwrap();
    assert!(ready.recv().await.unwrap().replace);
    assert_eq!(service.apply(replace, None).await.unwrap_err(), FormatError::NothingToReplace);
}
