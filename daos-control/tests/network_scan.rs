//! The network of a host, seen through a made-up `/sys` and through the real one.
#![cfg(feature = "server")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use daos_control::network::{NetDevClass, Wanted, domain_of, observe, observe_at, rows};

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("a parent")).expect("directory");
    fs::write(path, text).expect("file");
}

#[test]
fn devices_nodes_and_cores_are_read_from_the_tree() {
    let dir = tempfile::tempdir().expect("directory");
    let sys = dir.path();
    for (name, class, flags, numa) in
        [("eth0", "1", "0x1003", "-1"), ("ib0", "32", "0x1003", "1"), ("eth1", "1", "0x1002", "0")]
    {
        write(sys, &format!("class/net/{name}/type"), class);
        write(sys, &format!("class/net/{name}/flags"), flags);
        write(sys, &format!("class/net/{name}/device/numa_node"), numa);
    }
    fs::create_dir_all(sys.join("class/net/ib0/device/infiniband/mlx5_0")).expect("rdma");
    write(sys, "class/net/bond0/type", "1\n");
    write(sys, "class/net/bond0/flags", "0x1003\n");
    symlink(sys.join("class/net/ib0"), sys.join("class/net/bond0/lower_ib0")).expect("link");
    write(sys, "class/net/bonding_masters", "bond0\n");
    for node in ["node0", "node1", "nodes"] {
        fs::create_dir_all(sys.join("devices/system/node").join(node)).expect("node");
    }
    for (cpu, core) in [("cpu0", "0"), ("cpu1", "0"), ("cpu2", "1")] {
        write(sys, &format!("devices/system/node/node0/{cpu}/topology/core_id"), core);
        write(sys, &format!("devices/system/node/node0/{cpu}/topology/physical_package_id"), "0");
    }
    fs::create_dir_all(sys.join("devices/system/node/node0/cpulist")).expect("not a cpu");

    let network = observe_at(sys).expect("observed");
    assert_eq!((network.numa_nodes, network.cores_per_numa), (2, 2));
    let names: Vec<_> = network.interfaces.iter().map(|each| each.name.as_str()).collect();
    assert_eq!(names, ["bond0", "eth0", "eth1", "ib0"]);
    let of = |name| network.interface(name).expect("there");
    assert_eq!((of("eth0").numa_node, of("eth0").up), (0, true));
    assert!(!of("eth1").up);
    assert_eq!(of("ib0").class, NetDevClass::INFINIBAND);
    assert_eq!(of("ib0").rdma_device.as_deref(), Some("mlx5_0"));
    assert_eq!((of("bond0").numa_node, of("bond0").rdma_device.as_deref()), (1, Some("mlx5_0")));
}

#[test]
fn a_tree_without_interfaces_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().expect("directory");
    let error = observe_at(dir.path()).expect_err("nothing there");
    assert_eq!(error.code(), 1363);
    assert!(error.to_string().contains("class/net"));
}

#[test]
fn this_host_has_a_loopback_interface_that_is_never_listed() {
    let network = observe().expect("observed");
    assert_eq!(network.interface("lo").expect("loopback").class, NetDevClass::LOOPBACK);
    let scan = rows(&network, &Wanted::All, &[]).expect("rows");
    assert!(scan.interfaces.iter().all(|row| row.device != "lo"));
    assert!(scan.numa_nodes >= 1 && scan.cores_per_numa >= 1);
    if network.interface("lo").is_some_and(|interface| interface.up) {
        assert_eq!(domain_of(&network, "lo", "ofi+tcp").expect("known").as_deref(), Some("lo"));
    }
}
