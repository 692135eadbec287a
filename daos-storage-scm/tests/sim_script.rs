//! The simulation does what a test tells it to: fail, take its time, reboot.

use std::time::Duration;

use daos_storage_scm::sim::SimScm;
use daos_storage_scm::{
    Intent, PlanFacts, RamSpec, ScmError, ScmMounted, ScmParams, ScmProvider, ScmReadiness,
    ScmTarget, SilentObserver, plan,
};

const DEVICE: &str = "/dev/pmem0";

fn target(device: Option<&str>) -> ScmTarget {
    ScmTarget::from_params(ScmParams {
        mount_point: "/mnt/daos0".into(),
        ram: device.is_none().then(RamSpec::default),
        devices: device.map(|device| vec![device.into()]),
        ..ScmParams::default()
    })
    .expect("valid")
}

async fn format(sim: &SimScm, target: &ScmTarget) -> Result<ScmMounted, ScmError> {
    let observed = sim.observe(target).await?;
    let plan = plan(target, &observed, Intent::Plain, &PlanFacts::default())?;
    let digest = plan.digest().clone();
    sim.format(plan.accept(&digest)?, &SilentObserver).await
}

#[tokio::test]
async fn a_scripted_failure_comes_once_and_leaves_what_a_plain_format_takes() {
    let sim = SimScm::new();
    sim.add_device(DEVICE, 1 << 37);
    let target = target(Some(DEVICE));
    let failure = ScmError::CommandFailed {
        command: "mkfs.ext4".to_owned(),
        device: DEVICE.into(),
        status: "exit status: 1".to_owned(),
        output: "no space".to_owned(),
    };
    sim.fail_next("make-filesystem", failure);
    let failed = format(&sim, &target).await.expect_err("as scripted");
    assert_eq!(failed.code(), 1210);
    let readiness = sim.observe(&target).await.expect("observe").readiness(&target);
    assert_eq!(readiness, ScmReadiness::NotFormatted);
    format(&sim, &target).await.expect("once only");
}

#[tokio::test(start_paused = true)]
async fn a_scripted_delay_takes_that_long() {
    let sim = SimScm::new();
    sim.delay("mount-tmpfs", Duration::from_secs(60));
    let begun = tokio::time::Instant::now();
    format(&sim, &target(None)).await.expect("format");
    assert!(begun.elapsed() >= Duration::from_secs(60));
}

#[tokio::test]
async fn a_reboot_takes_ram_and_leaves_devices() {
    let sim = SimScm::new();
    sim.add_device(DEVICE, 1 << 37);
    let (device, ram) = (target(Some(DEVICE)), target(None));
    format(&sim, &device).await.expect("format");
    sim.put_file("/mnt/daos0", "superblock").expect("mounted");
    sim.reboot();
    let readiness = sim.observe(&device).await.expect("observe").readiness(&device);
    assert_eq!(readiness, ScmReadiness::Mountable);
    sim.mount(&device).await.expect("mount");
    assert_eq!(sim.files("/mnt/daos0"), ["superblock"]);
    sim.unmount(&device).await.expect("unmount");

    format(&sim, &ram).await.expect("format");
    sim.reboot();
    assert_eq!(sim.mount(&ram).await.expect_err("gone").code(), 1213);
}

#[tokio::test]
async fn without_the_right_to_mount_ram_takes_a_directory() {
    let sim = SimScm::new();
    sim.allow_mounts(false);
    assert_eq!(format(&sim, &target(None)).await.expect_err("no tmpfs there").code(), 1205);
    let on_shm = ScmTarget::from_params(ScmParams {
        mount_point: "/dev/shm/daos0".into(),
        ram: Some(RamSpec::default()),
        ..ScmParams::default()
    })
    .expect("valid");
    let mounted = format(&sim, &on_shm).await.expect("format");
    assert_eq!(mounted.form, daos_storage_scm::ScmForm::Directory);
}
