//! What is seen of a made-up kernel, and of this one.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use daos_control::config::Surroundings;
use daos_control::preflight::{
    LIBIPMCTL, ModuleState, PlacePurpose, Preflight, Roots, Severity, observe,
};
use daos_control::server::providers_of_this_host;
use daos_storage_nvme::linux::{self, LinuxNvme};
use daos_storage_scm::linux::LinuxScm;

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("a parent")).expect("directory");
    fs::write(path, text).expect("file");
}

fn link(root: &Path, path: &str, target: &str) {
    let (path, target) = (root.join(path), root.join(target));
    fs::create_dir_all(&target).expect("directory");
    fs::create_dir_all(path.parent().expect("a parent")).expect("directory");
    symlink(target, path).expect("link");
}

/// A kernel with one IOMMU, one prepared controller, one PMem device with a partition, and a program of a bad version.
fn kernel(root: &Path) -> Roots {
    write(
        root,
        "proc/meminfo",
        "MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\nHugePages_Total: 64\nHugePages_Free: 60\nHugepagesize: 2048 kB\n",
    );
    write(root, "proc/sys/kernel/osrelease", "6.1.0-lab\n");
    write(root, "proc/filesystems", "nodev\tsysfs\n\text4\n");
    write(root, "sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n");
    write(root, "sys/class/net/eth0/type", "1\n");
    write(
        root,
        "sys/devices/system/node/node1/meminfo",
        "Node 1 MemFree: 2048 kB\nNode 1 HugePages_Total: 64\n",
    );
    fs::create_dir_all(root.join("sys/class/iommu/dmar0")).expect("iommu");
    fs::create_dir_all(root.join("sys/bus/pci/drivers/vfio-pci")).expect("driver");
    write(
        root,
        "modules/6.1.0-lab/modules.dep",
        "kernel/drivers/vfio/vfio_iommu_type1.ko.xz: kernel/vfio.ko\n",
    );
    write(root, "modules/6.1.0-lab/modules.builtin", "kernel/drivers/nvdimm/nd_pmem.ko\n");
    let function = "sys/devices/pci0000:80/0000:81:00.0";
    write(root, &format!("{function}/class"), "0x010802\n");
    write(root, &format!("{function}/numa_node"), "1\n");
    link(root, &format!("{function}/driver"), "sys/bus/pci/drivers/vfio-pci");
    link(root, &format!("{function}/iommu_group"), "sys/kernel/iommu_groups/7");
    link(root, "sys/bus/pci/devices/0000:81:00.0", function);
    write(root, "dev/vfio/7", "");
    write(root, "sys/class/block/pmem1/device/numa_node", "1\n");
    write(root, "sys/class/block/pmem1p1/partition", "1\n");
    write(root, "bin/ipmctl", "#!/bin/sh\necho 'Command Line Interface Version 02.00.00.3814'\n");
    write(root, "bin/ndctl", "#!/bin/sh\necho 77\n");
    for name in ["ipmctl", "ndctl"] {
        let program = fs::Permissions::from_mode(0o755);
        fs::set_permissions(root.join("bin").join(name), program).expect("a program");
    }
    Roots {
        sys: root.join("sys"),
        proc: root.join("proc"),
        dev: root.join("dev"),
        modules: root.join("modules"),
        programs: vec![root.join("bin")],
    }
}

#[tokio::test]
async fn a_made_up_kernel_is_read_as_it_shows_itself() {
    let directory = tempfile::tempdir().expect("directory");
    let roots = kernel(directory.path());
    let state = directory.path().join("state");
    let nvme = LinuxNvme::new(&state).with_roots(linux::Roots {
        sys: roots.sys.clone(),
        dev: roots.dev.clone(),
        proc: roots.proc.clone(),
    });
    let facts = observe(&roots, &nvme, None, &state).await.expect("observed");
    let host = &facts.host;
    assert!(!host.no_iommu_allowed);
    assert_eq!((host.memory.hugepages_total, host.memory.total), (64, 8 << 30));
    assert_eq!(
        (host.transparent_hugepages.as_str(), host.has_transparent_hugepages()),
        ("always madvise [never]", false)
    );
    assert_eq!(host.iommu, ["dmar0"]);
    assert_eq!(host.modules.release, "6.1.0-lab");
    let states = ["vfio_pci", "vfio_iommu_type1", "uio_pci_generic", "nd_pmem", "ext4"];
    let states = states.map(|name| host.modules.state(name));
    use ModuleState::{Loadable, Loaded, Missing};
    assert_eq!(states, [Loaded, Loadable, Missing, Loaded, Loaded]);
    assert_eq!((facts.nodes[0].node, facts.nodes[0].hugepages_total), (1, 64));
    let controllers = facts.controllers.expect("listed");
    assert_eq!(controllers.len(), 1);
    assert_eq!(
        (controllers[0].address.as_str(), controllers[0].numa_node),
        ("0000:81:00.0", Some(1))
    );
    assert_eq!(controllers[0].device, Some((roots.dev.join("vfio/7"), true)));
    assert_eq!(facts.pmem.len(), 1, "partitions are not listed");
    assert_eq!((facts.pmem[0].name.as_str(), facts.pmem[0].numa_node), ("pmem1", Some(1)));
    let [blkid, mkfs, ndctl, library] = facts.tools.as_slice() else { panic!("{:?}", facts.tools) };
    assert_eq!(
        [blkid, mkfs].map(|tool| (tool.name, &tool.path)),
        [("blkid", &None), ("mkfs.ext4", &None)]
    );
    assert_eq!((ndctl.name, ndctl.path.clone()), ("ndctl", Some(roots.programs[0].join("ndctl"))));
    assert_eq!(ndctl.version.as_deref(), Some("77"));
    // Not what a program of that name says: the library is what will be loaded.
    let loaded = LinuxScm::new().tool_versions().await.remove(0);
    assert_eq!((library.name, &library.version), (LIBIPMCTL, &loaded.version));
    assert_eq!(library.problem, loaded.problem);
    assert_eq!(facts.places.len(), 1);
    assert_eq!((facts.places[0].purpose, facts.places[0].writable), (PlacePurpose::State, true));
    assert!(facts.clock.is_ok(), "{:?}", facts.clock);
    assert!(facts.ports.is_empty(), "no configuration, no ports");

    // Without an IOMMU VFIO marks the file.
    fs::rename(roots.dev.join("vfio/7"), roots.dev.join("vfio/noiommu-7")).expect("renamed");
    write(directory.path(), "sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
    let facts = observe(&roots, &nvme, None, &state).await.expect("observed");
    assert!(facts.host.no_iommu_allowed);
    let file = facts.controllers.expect("listed")[0].device.clone();
    assert_eq!(file, Some((roots.dev.join("vfio/noiommu-7"), true)));
}

fn on_this_host(state: &Path) -> Preflight {
    let (scm, bdev) = providers_of_this_host(state);
    Preflight { roots: Roots::default(), scm, bdev, state_dir: state.to_owned() }
}

#[tokio::test]
async fn this_host_is_looked_at_alone() {
    let state = tempfile::tempdir().expect("directory");
    let report = on_this_host(state.path()).report(None).await.expect("looked at");
    assert!(report.config.is_empty() && !report.findings.is_empty());
    let thp = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
    let on = !thp.is_empty() && !thp.contains("[never]");
    let said =
        report.findings.iter().find(|each| each.rule == "transparent-hugepages").expect("told");
    assert_eq!(said.severity == Severity::Warning, on, "{said:?}");
    let iommu = fs::read_dir("/sys/class/iommu").is_ok_and(|mut entries| entries.next().is_some());
    let said = report.findings.iter().find(|each| each.rule == "iommu").expect("told");
    assert_eq!(said.severity == Severity::Ok, iommu, "{said:?}");
    assert!(!report.has_errors(), "{}", report.text(true));
}

#[tokio::test]
async fn a_configuration_with_faults_is_told_with_all_of_them_and_the_host_beside_it() {
    let directory = tempfile::tempdir().expect("directory");
    let file = directory.path().join("daos_server.yml");
    let surroundings = Surroundings {
        current_dir: directory.path().to_owned(),
        executable: directory.path().join("bin/daos_server"),
        default_state_dir: directory.path().join("state"),
    };
    let preflight = on_this_host(&surroundings.default_state_dir);
    fs::write(&file, "provider: ofi+tcp\nport: 0\nnr_hugepages: -1\nengines: []\n").expect("file");
    let report = preflight.of_file(Some(&file), &surroundings).await.expect("looked at");
    let broken: Vec<_> = report
        .findings
        .iter()
        .filter(|each| each.rule == "config")
        .map(|each| (each.key.as_str(), each.line, each.severity))
        .collect();
    assert_eq!(
        broken,
        [("port", Some(2), Severity::Error), ("nr_hugepages", Some(3), Severity::Error)]
    );
    assert_eq!(report.config, file.display().to_string());
    assert!(report.findings.iter().any(|each| each.rule == "iommu"));

    fs::write(&file, "provider: [\n").expect("file");
    let report = preflight.of_file(Some(&file), &surroundings).await.expect("looked at");
    assert!(report.has_errors() && report.findings[0].code == 1311, "{:?}", report.findings[0]);
    assert!(report.findings[0].text.starts_with("line 1 column 11: "), "{:?}", report.findings[0]);

    fs::remove_file(&file).expect("removed");
    let gone =
        preflight.of_file(Some(&file), &surroundings).await.expect_err("named and not there");
    assert!(gone.description.contains("daos_server.yml"), "{gone}");
    let alone = preflight.of_file(None, &surroundings).await;
    // This machine may have one at the system's place.
    if !Path::new("/etc/daos/daos_server.yml").exists() {
        assert!(alone.expect("without a file").config.is_empty());
    }
}

/// What the report of a configuration with this storage says of it: severity, fault, key.
async fn said_of_storage(top: &Path, storage: &str) -> Vec<(Severity, i32, String)> {
    let surroundings = Surroundings {
        current_dir: top.to_owned(),
        executable: top.join("bin/daos_server"),
        default_state_dir: top.join("state"),
    };
    let file = top.join("daos_server.yml");
    let text = format!(
        "data_plane: emulated\nprovider: ofi+tcp\nfabric_iface: lo\nengines:\n- targets: 1\n  \
         fabric_iface_port: 31416\n  storage:\n{storage}"
    );
    fs::write(&file, text).expect("file");
    let preflight = on_this_host(&surroundings.default_state_dir);
    let report = preflight.of_file(Some(&file), &surroundings).await.expect("looked at");
    let of_storage = report.findings.into_iter().filter(|each| each.rule == "storage");
    of_storage.map(|each| (each.severity, each.code, each.key)).collect()
}

#[tokio::test]
async fn what_a_format_would_refuse_is_an_error_before_it() {
    let top = tempfile::tempdir().expect("directory");
    let at = |name: &str| top.path().join(name).display().to_string();
    let ram = format!("  - {{class: ram, scm_size: 1, scm_mount: {}}}\n", at("mnt"));
    let bdev = "engines[0].storage[1].bdev_list".to_owned();
    let scm = "engines[0].storage[0].scm_list".to_owned();
    fs::write(at("regular"), "text").expect("file");

    let kdev = |path: &str| format!("{ram}  - {{class: kdev, bdev_list: ['{path}']}}\n");
    for (path, code) in [("/dev/nope", 1215), ("/dev/null", 1216), (&at("regular"), 1216)] {
        let said = said_of_storage(top.path(), &kdev(path)).await;
        assert_eq!(said, [(Severity::Error, code, bdev.clone())], "{path}");
    }
    let file =
        |path: &str| format!("{ram}  - {{class: file, bdev_size: 1, bdev_list: ['{path}']}}\n");
    // What cannot be a mount point is told as that, not as a superblock nobody can read.
    let mount = format!("  - {{class: ram, scm_size: 1, scm_mount: {}}}\n", at("regular"));
    let said = said_of_storage(top.path(), &mount).await;
    assert_eq!(said, [(Severity::Error, 1206, "engines[0].storage[0].scm_mount".to_owned())]);
    let said = said_of_storage(top.path(), &file(&at("none/f"))).await;
    assert_eq!(said, [(Severity::Error, 1229, bdev.clone())]);
    // Somebody's file of another size: --reformat would take it.
    let said = said_of_storage(top.path(), &file(&at("regular"))).await;
    assert_eq!(said, [(Severity::Warning, 1227, bdev)]);
    let said = said_of_storage(top.path(), &file(&at("f"))).await;
    assert_eq!(said, [(Severity::Ok, 0, String::new())]);
    let dcpm =
        format!("  - {{class: dcpm, scm_mount: {}, scm_list: [{}]}}\n", at("mnt"), at("regular"));
    let said = said_of_storage(top.path(), &dcpm).await;
    assert_eq!(said, [(Severity::Error, 1209, scm)]);
}
