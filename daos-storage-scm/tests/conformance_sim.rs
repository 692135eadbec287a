//! The simulation passes the suite in both classes and both forms of class ram.

use std::any::Any;
use std::sync::Arc;

use daos_storage_scm::conformance::{self, Fixture, Foreign, Held};
use daos_storage_scm::sim::SimScm;
use daos_storage_scm::{ByClass, ProcessRef, RamForm, RamSpec, ScmParams, ScmProvider, ScmTarget};

const DEVICE: &str = "/dev/pmem0";

struct Simulated {
    sim: SimScm,
    target: ScmTarget,
}

fn simulated(ram: Option<RamForm>) -> Box<dyn Fixture> {
    let sim = SimScm::new();
    sim.add_device(DEVICE, 128 << 30);
    let mount_point = match ram {
        Some(RamForm::Directory) => "/dev/shm/daos0",
        _ => "/mnt/daos0",
    };
    let target = ScmTarget::from_params(ScmParams {
        mount_point: mount_point.into(),
        ram: ram.map(|form| RamSpec { size_bytes: Some(4 << 30), form, ..RamSpec::default() }),
        devices: ram.is_none().then(|| vec![DEVICE.into()]),
        ..ScmParams::default()
    })
    .expect("valid parameters");
    Box::new(Simulated { sim, target })
}

impl Simulated {
    fn is_dcpm(&self) -> bool {
        self.target.device().is_some()
    }

    fn is_directory(&self) -> bool {
        self.target.ram().is_some_and(|ram| ram.form == RamForm::Directory)
    }
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl Fixture for Simulated {
    fn provider(&self) -> Arc<dyn ScmProvider> {
        let sim = Arc::new(self.sim.clone());
        Arc::new(ByClass::new(sim.clone(), sim))
    }

    fn target(&self) -> ScmTarget {
        self.target.clone()
    }

    fn put_file(&self, name: &str) {
        self.sim.put_file(self.target.mount_point(), name).expect("mounted");
    }

    fn files(&self) -> Vec<String> {
        self.sim.files(self.target.mount_point())
    }

    fn survives_unmount(&self) -> bool {
        self.is_dcpm()
    }

    fn put_foreign(&self) -> Foreign {
        if self.is_dcpm() {
            self.sim.put_signature(DEVICE, "xfs file system, label \"home\"");
            return Foreign::UntilReformat;
        }
        let fs_type = if self.is_directory() { "tmpfs" } else { "ext4" };
        self.sim.put_directory(self.target.mount_point(), fs_type, &["thesis.tex"]);
        Foreign::Never
    }

    fn use_medium(&self) -> Option<Box<dyn Any>> {
        if !self.is_dcpm() {
            return None;
        }
        self.sim.use_device(DEVICE, "active swap space");
        let sim = self.sim.clone();
        Some(Box::new(OnDrop(move || sim.release_device(DEVICE))))
    }

    fn hold_mount(&self) -> Option<Held> {
        if self.is_directory() {
            return None;
        }
        let path = self.target.mount_point().to_owned();
        let holder = ProcessRef { pid: 4711, name: "bash".to_owned() };
        self.sim.hold_mount(&path, vec![holder]);
        let sim = self.sim.clone();
        let guard = Box::new(OnDrop(move || sim.hold_mount(&path, Vec::new())));
        Some(Held { pid: 4711, guard })
    }
}

#[tokio::test]
async fn simulated_tmpfs_passes_the_suite() {
    conformance::run(|_| Some(simulated(Some(RamForm::Auto)))).await.assert_passed();
}

#[tokio::test]
async fn simulated_directory_passes_the_suite() {
    conformance::run(|_| Some(simulated(Some(RamForm::Directory)))).await.assert_passed();
}

#[tokio::test]
async fn simulated_device_passes_the_suite() {
    conformance::run(|_| Some(simulated(None))).await.assert_passed();
}
