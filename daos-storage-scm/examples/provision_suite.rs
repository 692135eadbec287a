//! The conformance suite of provisioning on this machine's own persistent memory. It DESTROYS all namespaces and labels.
//!
//! For virtual machines made for it (`benches/hwlab/run pmem`): `provision_suite --destroy-all-persistent-memory`.

use std::any::Any;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use daos_storage_scm::ScmProvider;
use daos_storage_scm::conformance::{self, ProvisionFixture};
use daos_storage_scm::linux::LinuxScm;

struct ThisMachine;

impl ProvisionFixture for ThisMachine {
    fn provider(&self) -> Arc<dyn ScmProvider> {
        Arc::new(LinuxScm::new())
    }

    fn reboot(&self) {
        panic!("modules that take goals: not the machine this is for");
    }

    fn takes_goals(&self) -> bool {
        false
    }

    fn use_device(&self, blockdev: &str) -> Box<dyn Any> {
        let device = format!("/dev/{blockdev}");
        run("mkfs.ext4", &["-q", &device]);
        run("mount", &[&device, "/mnt"]);
        Box::new(OnDrop(|| run("umount", &["/mnt"])))
    }

    fn disable_regions(&self) {
        run("ndctl", &["disable-region", "all"]);
    }

    fn disable_namespace(&self, name: &str) {
        run("ndctl", &["disable-namespace", name]);
    }

    fn make_devdax(&self, name: &str) {
        run("ndctl", &["create-namespace", "-f", "-e", name, "-m", "devdax"]);
    }
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status();
    assert!(status.is_ok_and(|status| status.success()), "{program} {arguments:?}");
}

/// As it came: no namespaces, no labels. The kernel takes a module that had some for one that has until the next boot.
fn blank() -> Box<dyn ProvisionFixture> {
    run("ndctl", &["enable-region", "all"]);
    run("ndctl", &["destroy-namespace", "-f", "all"]);
    run("ndctl", &["disable-region", "all"]);
    run("ndctl", &["zero-labels", "all"]);
    run("ndctl", &["enable-region", "all"]);
    Box::new(ThisMachine)
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() != Some("--destroy-all-persistent-memory") {
        eprintln!("This destroys all namespaces of this machine; it has to be told so.");
        return ExitCode::FAILURE;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return ExitCode::FAILURE };
    let report = runtime.block_on(conformance::run_provision(|name| {
        println!("{name}");
        Some(blank())
    }));
    for (name, why) in &report.failed {
        println!("FAILED {name}: {why}");
    }
    println!("{} of {} passed", report.ran - report.failed.len(), report.wanted);
    if report.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
