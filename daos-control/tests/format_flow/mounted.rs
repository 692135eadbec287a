//! What is mounted at an engine's mount point and is not what the configuration names: left alone, and named.

use std::fs;
use std::path::Path;
use std::process::Command;

use daos_control::Fault;
use daos_control::format::{BroughtUp, FormatService};
use daos_storage_scm::{RamSpec, ScmParams, ScmTarget};

use crate::host::{Form, Host, PLAIN, REFORMAT, lines, mount_tmpfs, unmount, use_storage};

/// A blank loop device beside that of the host; detached when dropped.
struct Spare(String);

impl Spare {
    fn attach(host: &Host) -> Self {
        let backing = host.files.join("spare");
        fs::File::create(&backing).and_then(|file| file.set_len(64 << 20)).unwrap();
        let made =
            Command::new("losetup").args(["--find", "--show"]).arg(&backing).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        Self(String::from_utf8(made.stdout).unwrap().trim().to_owned())
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["--detach", &self.0]).status();
    }
}

/// A service over a configuration in which engine 0 has this SCM.
fn service(host: &Host, scm: ScmParams) -> FormatService {
    let (mut parts, _ready) = host.parts();
    let scm = ScmParams { mount_point: host.mount(0), ..scm };
    parts.targets.engines[0].scm = ScmTarget::from_params(scm).unwrap();
    FormatService::new(parts)
}

fn on_device(device: &str) -> ScmParams {
    ScmParams { devices: Some(vec![device.into()]), ..ScmParams::default() }
}

fn ram() -> ScmParams {
    let ram = RamSpec { size_bytes: Some(64 << 20), ..RamSpec::default() };
    ScmParams { ram: Some(ram), ..ScmParams::default() }
}

/// The start and every plan refuse, in the same words, and what is mounted stays.
async fn is_refused(host: &Host, service: &FormatService, words: &[&str]) -> Fault {
    let superblock = fs::read(host.mount(0).join("superblock")).unwrap();
    let BroughtUp::Refused(fault) = service.bring_up(0).await else { panic!("it started") };
    assert_eq!(fault.code, 1515, "{fault}");
    for word in words {
        assert!(fault.description.contains(word), "{word}: {fault}");
    }
    assert!(!fault.resolution.contains("--reformat"), "{fault:?}");
    for request in [PLAIN, REFORMAT] {
        let report = service.apply(request, None).await.unwrap();
        assert_eq!(lines(&report)[0], "0 scm failed 104", "{request:?}");
    }
    assert_eq!(fs::read(host.mount(0).join("superblock")).unwrap(), superblock);
    fault
}

#[tokio::test]
async fn another_device_than_the_configured_one_is_refused_and_kept() {
    let test = "another_device_than_the_configured_one_is_refused_and_kept";
    let Some(host) = Host::new(test, Form::Loop, 1).await else { return };
    host.service().apply(PLAIN, None).await.unwrap();
    use_storage(&host, 0);
    let own = host.device.clone().unwrap().display().to_string();
    let spare = Spare::attach(&host);

    is_refused(&host, &service(&host, on_device(&spare.0)), &[&own, &spare.0]).await;
    is_refused(&host, &service(&host, on_device("/dev/pmem99")), &[&own, "/dev/pmem99"]).await;
    is_refused(&host, &service(&host, ram()), &[&own, "not a tmpfs"]).await;
    assert_eq!(fs::read_to_string(host.mount(0).join("2f1c8ad2-pool/shard")).unwrap(), "precious");
    assert_eq!(host.service().bring_up(0).await, BroughtUp::Ready, "with the right name it starts");
}

#[tokio::test]
async fn a_tmpfs_in_the_place_of_the_configured_device_is_refused() {
    let test = "a_tmpfs_in_the_place_of_the_configured_device_is_refused";
    let Some(host) = Host::new(test, Form::Loop, 1).await else { return };
    host.service().apply(PLAIN, None).await.unwrap();
    let superblock = fs::read(host.mount(0).join("superblock")).unwrap();
    let device = host.device.clone().unwrap().display().to_string();
    unmount(&host.mount(0));
    assert!(mount_tmpfs(&host.mount(0), 1 << 20, false));
    fs::write(host.mount(0).join("superblock"), superblock).unwrap();
    is_refused(&host, &host.service(), &["tmpfs", &device]).await;
    unmount(&host.mount(0));
    assert_eq!(host.service().bring_up(0).await, BroughtUp::Ready);
}

/// The superblock is on disk: it says nothing about what is mounted.
#[tokio::test]
async fn metadata_on_disk_does_not_let_another_file_system_be_taken_for_ram() {
    let test = "metadata_on_disk_does_not_let_another_file_system_be_taken_for_ram";
    let Some(host) = Host::new(test, Form::Tmpfs, 1).await else { return };
    let host = host.with_metadata();
    host.service().apply(PLAIN, None).await.unwrap();
    unmount(&host.mount(0));
    let spare = Spare::attach(&host);
    let made = Command::new("mkfs.ext4").args(["-q", &spare.0]).status().unwrap();
    assert!(made.success());
    mount_ext4(&spare.0, &host.mount(0));
    let BroughtUp::Refused(fault) = host.service().bring_up(0).await else { panic!("it started") };
    assert!(fault.code == 1515 && fault.description.contains(&spare.0), "{fault}");
    unmount(&host.mount(0));
    assert_eq!(host.service().bring_up(0).await, BroughtUp::Ready, "RAM is made anew");
}

fn mount_ext4(device: &str, at: &Path) {
    let flags = rustix::mount::MountFlags::empty();
    rustix::mount::mount(device, at, "ext4", flags, None).unwrap();
}
