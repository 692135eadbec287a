//! The bodies for real hosts pass the suite: tmpfs and loop device where this process may mount, the directory
//! form for everybody.

mod rig;

use daos_storage_scm::conformance::{self, Fixture};
use rig::Real;

fn boxed(real: Option<Real>) -> Option<Box<dyn Fixture>> {
    real.map(|real| Box::new(real) as Box<dyn Fixture>)
}

#[tokio::test]
async fn ram_on_its_own_tmpfs_passes_the_suite() {
    conformance::run(|_| boxed(Real::tmpfs("ram_on_its_own_tmpfs"))).await.assert_passed();
}

#[tokio::test]
async fn ram_in_a_directory_passes_the_suite() {
    conformance::run(|_| boxed(Real::directory("ram_in_a_directory"))).await.assert_passed();
}

#[tokio::test]
async fn ext4_on_a_loop_device_passes_the_suite() {
    conformance::run(|_| boxed(Real::loop_device("ext4_on_a_loop_device"))).await.assert_passed();
}
