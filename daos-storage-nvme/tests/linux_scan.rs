//! Scans of a made-up PCI bus: what is listed in a configuration, and what is not.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use daos_storage_nvme::linux::{LinuxNvme, Roots};
use daos_storage_nvme::{
    BdevProvider, BdevTarget, BdevTier, FileOwner, Roles, ScanRequest, TierDevices,
};

const FIRST: &str = "0000:81:00.0";
const SECOND: &str = "0000:82:00.0";
const THIRD: &str = "0000:83:00.0";

/// A controller that `driver` has.
fn function(root: &Path, address: &str, driver: &str) {
    let directory = root.join("sys/devices").join(address);
    let driver = root.join("sys/bus/pci/drivers").join(driver);
    let bus = root.join("sys/bus/pci/devices");
    for each in [&directory, &driver, &bus] {
        fs::create_dir_all(each).expect("a directory");
    }
    fs::write(directory.join("class"), "0x010802\n").expect("written");
    symlink(driver, directory.join("driver")).expect("a link");
    symlink(directory, bus.join(address)).expect("a link");
}

fn listing(addresses: &[&str]) -> ScanRequest {
    let addresses = addresses.iter().map(|each| each.parse().expect("an address")).collect();
    let devices = TierDevices::Nvme { addresses };
    let target = BdevTarget {
        engine: 0,
        host: "here".to_owned(),
        owner: FileOwner { uid: 0, gid: 0 },
        tiers: vec![BdevTier { tier: 1, roles: Roles::default(), devices }],
    };
    ScanRequest { targets: vec![target], ..ScanRequest::default() }
}

#[tokio::test]
async fn what_an_engine_lists_may_be_bound_for_it_and_nothing_else() {
    let root = tempfile::tempdir().expect("a directory");
    function(root.path(), FIRST, "vfio-pci");
    function(root.path(), SECOND, "vfio-pci");
    function(root.path(), THIRD, "pciback");
    let roots = Roots {
        sys: root.path().join("sys"),
        dev: root.path().join("dev"),
        proc: root.path().join("proc"),
    };
    let nvme = LinuxNvme::new(root.path().join("state")).with_roots(roots);
    let told = async |request: &ScanRequest| -> Vec<Vec<String>> {
        let found = nvme.scan(request).await.expect("a scan");
        let words = |each: &daos_storage_nvme::NvmeController| {
            let words = each.obstacles.iter().map(ToString::to_string);
            words.filter(|text| text != "no record of a prepare says what it is").collect()
        };
        found.controllers.iter().map(words).collect()
    };
    let alone = told(&ScanRequest::default()).await;
    assert_eq!(alone, [["bound to vfio-pci"], ["bound to vfio-pci"], ["bound to pciback"]]);
    let configured = told(&listing(&[FIRST, THIRD])).await;
    let not_listed = "not in the bdev_list of any engine";
    assert_eq!(
        configured,
        [&[][..], &["bound to vfio-pci", not_listed], &["bound to pciback"]].map(<[&str]>::to_vec)
    );
}
