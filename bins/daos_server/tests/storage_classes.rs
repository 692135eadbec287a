//! Every storage class from blank to a joined rank, and through what a reboot leaves: real mounts, files and loop devices.

mod rig;

use std::fs;
use std::path::Path;

use daos_blockdev::testing::LoopDevice;
use daos_control::testing::HostRig;
use rig::{
    Result, ensure_code, formatted, host, members, plain_host, skip_without_mount_right, with_tiers,
};

const MIB: u64 = 1 << 20;

/// What a reboot does to a mount point of RAM: nothing is mounted and nothing is there.
fn lose_memory(mount: &Path) -> Result<()> {
    if rustix::mount::unmount(mount, rustix::mount::UnmountFlags::empty()).is_err() {
        fs::remove_dir_all(mount)?;
    }
    Ok(())
}

#[tokio::test]
async fn c6_a_pmem_device_is_mounted_again_after_a_reboot_and_keeps_its_rank() -> Result<()> {
    if skip_without_mount_right() {
        return Ok(());
    }
    let Some(device) = LoopDevice::attach("c6", 256 * MIB) else { return Ok(()) };
    let mut host = host(1)?;
    let mount = host.mounts()[0].clone();
    let tiers = format!(
        "  - {{class: dcpm, scm_mount: {}, scm_list: [{}]}}\n",
        mount.display(),
        device.path_str()
    );
    with_tiers(&host, &tiers)?;
    formatted(&mut host, 1).await?;
    let before = members(&host).await?;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let line =
        mounts.lines().find(|line| line.contains(&mount.display().to_string())).unwrap_or_default();
    for option in ["ext4", "nosuid", "nodev", "noexec", "noatime"] {
        assert!(line.contains(option), "R111, R125: {line}");
    }
    host.stop_server().await?;
    rustix::mount::unmount(&mount, rustix::mount::UnmountFlags::empty())?;
    host.start_server(&[])?;
    host.wait_for_joined(1).await?;
    assert_eq!(members(&host).await?, before);

    ensure_code(&host.dmg(&["system", "stop"]).await?, 0)?;
    let refused = host.dmg(&["storage", "format", "--reformat"]).await?;
    assert_ne!(refused.code, 0, "nobody confirmed: {refused:?}");
    assert!(mount.join("superblock").is_file(), "nothing was touched");
    ensure_code(&host.dmg(&["storage", "format", "--reformat", "--yes"]).await?, 0)?;
    host.wait_for_joined(1).await?;
    assert_ne!(members(&host).await?[0].uuid, before[0].uuid, "R130");
    host.clear().await?;
    Ok(())
}

/// An SCM that is still mounted, and a configuration that names another device or class since.
#[tokio::test]
async fn what_is_mounted_has_to_be_what_is_configured() -> Result<()> {
    if skip_without_mount_right() {
        return Ok(());
    }
    let (Some(own), Some(other)) =
        (LoopDevice::attach("own", 256 * MIB), LoopDevice::attach("other", 256 * MIB))
    else {
        return Ok(());
    };
    let mut host = host(1)?;
    let mount = host.mounts()[0].display().to_string();
    let dcpm = |device: &LoopDevice| {
        format!("  - {{class: dcpm, scm_mount: {mount}, scm_list: [{}]}}\n", device.path_str())
    };
    with_tiers(&host, &dcpm(&own))?;
    formatted(&mut host, 1).await?;
    let before = members(&host).await?;
    host.stop_server().await?;

    let ram = format!("  - {{class: ram, scm_mount: {mount}, scm_size: 1}}\n");
    for (tiers, named) in [(dcpm(&other), other.path_str()), (ram, "not a tmpfs")] {
        with_tiers(&host, &tiers)?;
        host.start_server(&[])?;
        host.wait_for_log("does not come up", 1).await?;
        let log = host.server_log().join("\n");
        assert!(log.contains(own.path_str()) && log.contains(named), "{log}");
        let plan = host.dmg(&["storage", "format", "--dry-run"]).await?;
        assert_ne!(plan.code, 0, "{plan:?}");
        let told = plan.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains("already is a mount point") && told.contains(named), "{plan:?}");
        host.stop_server().await?;
    }
    with_tiers(&host, &dcpm(&own))?;
    host.start_server(&[])?;
    host.wait_for_joined(1).await?;
    assert_eq!(members(&host).await?, before);
    host.clear().await?;
    Ok(())
}

#[tokio::test]
async fn a_device_with_somebody_elses_data_is_refused_and_kept() -> Result<()> {
    if skip_without_mount_right() {
        return Ok(());
    }
    let Some(device) = LoopDevice::attach("foreign", 64 * MIB) else { return Ok(()) };
    daos_blockdev::testing::must_run("mkfs.ext4", &["-q", "-L", "precious", device.path_str()]);
    let content = fs::read(device.backing_file())?;
    let mut host = host(1)?;
    let mount = host.mounts()[0].display().to_string();
    with_tiers(
        &host,
        &format!("  - {{class: dcpm, scm_mount: {mount}, scm_list: [{}]}}\n", device.path_str()),
    )?;
    host.start_server(&[])?;
    host.wait_for_log("waiting for storage format on server 0", 1).await?;
    let plan = host.dmg(&["storage", "format", "--dry-run"]).await?;
    assert!(plan.stdout.contains("precious"), "the plan names what is there: {plan:?}");
    assert_ne!(host.dmg(&["storage", "format"]).await?.code, 0, "W14");
    assert_ne!(host.dmg(&["storage", "format", "--reformat"]).await?.code, 0, "nobody confirmed");
    assert!(content == fs::read(device.backing_file())?, "the device was written to");
    host.clear().await?;
    Ok(())
}

async fn metadata_outlives_memory(mut host: HostRig) -> Result<()> {
    let metadata = host.file("state").join("metadata");
    let tiers = format!(
        "  - {{class: ram, scm_mount: {}, scm_size: 1}}\n  - {{class: file, bdev_list: [{}], bdev_size: 1, \
         bdev_roles: [wal, meta, data]}}\ncontrol_metadata: {{path: {}}}\n",
        host.mounts()[0].display(),
        host.file("state").join("nvme0").display(),
        metadata.display(),
    );
    with_tiers(&host, &tiers)?;
    formatted(&mut host, 1).await?;
    let before = members(&host).await?;
    assert!(metadata.join("daos_control/engine0/superblock").is_file(), "contract 5.4");
    host.stop_server().await?;
    lose_memory(&host.mounts()[0])?;
    host.start_server(&[])?;
    host.wait_for_joined(1).await?;
    assert_eq!(members(&host).await?, before, "the system survives a reboot");
    host.clear().await?;
    Ok(())
}

#[tokio::test]
async fn control_metadata_on_disk_lets_a_ram_system_survive_a_reboot_on_mounts() -> Result<()> {
    if skip_without_mount_right() {
        return Ok(());
    }
    metadata_outlives_memory(host(1)?).await
}

#[tokio::test]
async fn control_metadata_on_disk_lets_a_ram_system_survive_a_reboot_in_directories() -> Result<()>
{
    metadata_outlives_memory(plain_host(1)?).await
}

#[tokio::test]
async fn ram_without_control_metadata_waits_for_a_format_after_a_reboot() -> Result<()> {
    let mut host = plain_host(1)?;
    formatted(&mut host, 1).await?;
    host.stop_server().await?;
    lose_memory(&host.mounts()[0])?;
    host.start_server(&[])?;
    host.wait_for_log("waiting for storage format on server 0", 1).await?;
    host.clear().await?;
    Ok(())
}

#[tokio::test]
async fn a_kernel_device_is_taken_when_blank_and_refused_when_it_holds_something() -> Result<()> {
    if skip_without_mount_right() {
        return Ok(());
    }
    let (Some(blank), Some(taken)) =
        (LoopDevice::attach("blank", 64 * MIB), LoopDevice::attach("taken", 64 * MIB))
    else {
        return Ok(());
    };
    daos_blockdev::testing::must_run("mkfs.ext4", &["-q", taken.path_str()]);
    let kept = fs::read(taken.backing_file())?;
    let mut host = host(1)?;
    let mount = host.mounts()[0].display().to_string();
    let tiers = |device: &str| {
        format!(
            "  - {{class: ram, scm_mount: {mount}, scm_size: 1}}\n  - {{class: kdev, bdev_list: [{device}]}}\n"
        )
    };
    with_tiers(&host, &tiers(taken.path_str()))?;
    host.start_server(&[])?;
    host.wait_for_log("waiting for storage format on server 0", 1).await?;
    assert_ne!(host.dmg(&["storage", "format"]).await?.code, 0);
    assert!(kept == fs::read(taken.backing_file())?, "the device was written to");
    host.stop_server().await?;

    with_tiers(&host, &tiers(blank.path_str()))?;
    formatted(&mut host, 1).await?;
    let config = fs::read_to_string(host.mounts()[0].join("daos_nvme.conf"))?;
    assert!(
        config.contains("bdev_aio_create") && config.contains(blank.path_str()),
        "R58: {config}"
    );
    host.clear().await?;
    Ok(())
}

#[tokio::test]
async fn malloc_devices_need_no_storage_and_speak_both_texts() -> Result<()> {
    for (form, expected) in [("json", "bdev_malloc_create"), ("ini", "[Malloc]")] {
        let mut host = plain_host(1)?;
        let mount = host.mounts()[0].display().to_string();
        let tiers = format!(
            "  - {{class: ram, scm_mount: {mount}, scm_size: 1}}\n  - {{class: malloc, bdev_number: 1, bdev_size: 1}}\n\
             nvme_conf_format: {form}\n"
        );
        with_tiers(&host, &tiers)?;
        formatted(&mut host, 1).await?;
        let config = fs::read_to_string(host.mounts()[0].join("daos_nvme.conf"))?;
        assert!(config.contains(expected), "R57: {config}");
        host.clear().await?;
    }
    Ok(())
}
