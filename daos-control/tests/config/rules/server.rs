//! Rules of the server's own keys.

use daos_control::config::{ControlLogMask, FaultDomainSource, Replica};

use super::{breaks, flat, notes, tiered, two};
use crate::support::{refused, valid};

#[test]
fn the_bases_of_all_cases_are_valid() {
    valid(&flat("", ""));
    valid(&tiered("", "", ""));
    valid(&two("", ["", ""], ["", ""]));
}

#[test]
fn r41_provider_is_required_at_the_top_level() {
    let without = |text: String| text.replace("provider: ofi+tcp\n", "");
    breaks(&without(flat("", "")), &[(707, "provider")]);
    let own = tiered("", "  provider: ofi+verbs\n", "");
    breaks(&own.replacen("provider: ofi+tcp\n", "", 1), &[(707, "provider")]);
    breaks(&flat("", "").replace("provider: ofi+tcp", "provider: '' # <-"), &[(707, "provider")]);
    breaks("", &[(707, "provider"), (708, "engines")]);
}

#[test]
fn r42_replicas() {
    for (list, code, key) in [
        ("mgmt_svc_replicas: [] # <-\n", 705, "mgmt_svc_replicas"),
        ("access_points: [a, b] # <-\n", 706, "access_points"),
        ("mgmt_svc_replicas:\n- a\n- 'b:port' # <-\n- c\n", 705, "mgmt_svc_replicas[1]"),
        ("mgmt_svc_replicas:\n- 'a:0' # <-\n", 703, "mgmt_svc_replicas[0]"),
        ("mgmt_svc_replicas:\n- 'a:70000' # <-\n", 705, "mgmt_svc_replicas[0]"),
        ("mgmt_svc_replicas:\n- 'a:1:2' # <-\n", 705, "mgmt_svc_replicas[0]"),
        ("mgmt_svc_replicas:\n- 'host name' # <-\n", 705, "mgmt_svc_replicas[0]"),
        ("mgmt_svc_replicas:\n- '' # <-\n", 705, "mgmt_svc_replicas[0]"),
        ("mgmt_svc_replicas:\n- 10.0.0.256 # <-\n", 705, "mgmt_svc_replicas[0]"),
        ("mgmt_svc_replicas:\n- a\n- b\n- 'a:10001' # <-\n", 705, "mgmt_svc_replicas[2]"),
    ] {
        breaks(&tiered(list, "", ""), &[(code, key)]);
    }
    let both = "access_points: [a] # <-\nmgmt_svc_replicas: [a]\n";
    breaks(&tiered(both, "", ""), &[(1315, "access_points")]);
}

#[test]
fn r42_e10_a_replica_without_a_port_has_that_of_the_server() {
    let config =
        valid(&tiered("port: 10002\nmgmt_svc_replicas: [a, 'b:10003', 10.0.0.1]\n", "", ""));
    let replica = |host: &str, port| Replica { host: host.to_owned(), port };
    assert_eq!(
        config.replicas,
        [replica("a", 10002), replica("b", 10003), replica("10.0.0.1", 10002)]
    );
    assert_eq!(valid(&tiered("port: 7\n", "", "")).replicas, [replica("localhost", 7)]);
    let differs = tiered("mgmt_svc_replicas: [a, 'b:10003', c]\n", "", "");
    notes(&differs, "mgmt_svc_replicas[1]", "port 10003 differs");
    notes(&tiered("access_points: [a]\n", "", ""), "access_points", "one host");
}

#[test]
fn r43_engines_are_named_or_their_absence_is() {
    breaks("provider: ofi+tcp\nservers: [] # <-\n", &[(708, "servers")]);
    breaks("provider: ofi+tcp\n", &[(708, "engines")]);
    let text = flat("", "").replace("provider: ofi+tcp\n", "provider: ofi+tcp\nengines: []\n");
    breaks(&text, &[(1315, "servers")]);
    let config = valid("engines: []\n");
    assert!(config.engines.is_empty());
    notes("engines: []\n", "engines", "serves scans and nothing else");
}

#[test]
fn keys_of_the_server() {
    let long = format!("socket_dir: /{} # <-\n", "d".repeat(82));
    let cases: [(&str, i32, &str); 23] = [
        ("name: '' # <-\n", 701, "name"),
        ("name: sixteen_letters_ # <-\n", 701, "name"),
        ("name: 'a b' # <-\n", 701, "name"),
        ("port: 0 # <-\n", 703, "port"),
        ("port: 65536 # <-\n", 703, "port"),
        ("socket_dir: run/daos # <-\n", 701, "socket_dir"),
        (&long, 1318, "socket_dir"),
        ("state_dir: ../state # <-\n", 701, "state_dir"),
        ("state_dir: /var/../etc # <-\n", 701, "state_dir"),
        ("telemetry_port: -1 # <-\n", 704, "telemetry_port"),
        ("core_dump_filter: 256 # <-\n", 701, "core_dump_filter"),
        ("system_ram_reserved: 0 # <-\n", 734, "system_ram_reserved"),
        ("nr_hugepages: -1 # <-\n", 725, "nr_hugepages"),
        ("nr_hugepages: 2147483648 # <-\n", 725, "nr_hugepages"),
        ("enable_hotplug: true # <-\ndisable_hotplug: true\n", 735, "enable_hotplug"),
        ("fault_path: rack1 # <-\n", 717, "fault_path"),
        ("fault_path: /rack1/ # <-\n", 717, "fault_path"),
        ("fault_path: /a/b/c # <-\n", 724, "fault_path"),
        ("fault_path: /a\nfault_cb: /etc/daos/cb # <-\n", 722, "fault_cb"),
        ("engine_auto_restart_min_delay: -1 # <-\n", 701, "engine_auto_restart_min_delay"),
        ("bdev_exclude:\n- '0000:81' # <-\n", 303, "bdev_exclude[0]"),
        ("control_metadata:\n  device: /dev/sdb # <-\n", 729, "control_metadata.device"),
        ("nvme_conf_format: ini # <-\n", 1316, "nvme_conf_format"),
    ];
    for (top, code, key) in cases {
        breaks(&tiered(top, "", ""), &[(code, key)]);
    }
}

#[test]
fn socket_dir_may_be_exactly_as_long_as_socket_names_allow() {
    let directory = format!("/{}", "d".repeat(81));
    let config = valid(&tiered(&format!("socket_dir: {directory}\n"), "", ""));
    let socket = config.socket_dir.join("daos_engine_4194304.sock");
    assert_eq!(socket.as_os_str().len() + 1, 108, "the path and its closing zero fill the address");
}

#[test]
fn keys_of_the_server_are_taken() {
    let config = valid(&tiered(
        "fault_path: /rack1/host2\nenable_hotplug: false\ntelemetry_port: 9191\nmodules: vos,rdb\n\
         support_config: {file_transfer_exec: /usr/bin/copy}\ncontrol_log_mask: debug\n\
         engine_auto_restart_min_delay: 5\ndisable_engine_auto_restart: true\nhyperthreads: true\n",
        "",
        "",
    ));
    assert_eq!(config.fault_domain, FaultDomainSource::Path("/rack1/host2".to_owned()));
    assert!(!config.nvme.hotplug && config.hyperthreads && !config.engine_restart.enabled);
    assert_eq!((config.telemetry_port, config.engine_restart.min_delay_s), (Some(9191), 5));
    assert_eq!(
        (config.modules.as_str(), config.control_log.mask),
        ("vos,rdb", ControlLogMask::Debug)
    );
}

#[test]
fn r49_control_log_mask_is_a_level_in_any_case() {
    for (word, mask) in [
        ("TRACE", ControlLogMask::Trace),
        ("Debug", ControlLogMask::Debug),
        ("info", ControlLogMask::Info),
        ("notice", ControlLogMask::Notice),
        ("ERROR", ControlLogMask::Error),
        ("disabled", ControlLogMask::Disabled),
    ] {
        let text = tiered(&format!("control_log_mask: {word}\n"), "", "");
        assert_eq!(valid(&text).control_log.mask, mask);
    }
    breaks(&tiered("control_log_mask: LOUD # <-\n", "", ""), &[(701, "control_log_mask")]);
}

#[test]
fn r53_helper_log_is_accepted_with_a_notice() {
    let text = tiered("helper_log_file: /tmp/helper.log\n", "", "");
    notes(&text, "helper_log_file", "without effect for now");
}

#[test]
fn all_broken_rules_are_reported_at_once_in_the_order_of_the_file() {
    let text = "port: 0\nname: ''\nprovider: a,b\nservers:\n- rank: -1\n  scm_class: ram\n";
    let faults = refused(text);
    let lines: Vec<_> = faults.iter().map(|found| found.position.unwrap().line).collect();
    assert!(lines.is_sorted(), "{faults:#?}");
    let codes: Vec<_> = faults.iter().map(|found| (found.fault.code, found.key.as_str())).collect();
    for expected in [
        (703, "port"),
        (701, "name"),
        (701, "provider"),
        (701, "servers[0].rank"),
        (701, "servers[0].fabric_iface"),
        (701, "servers[0].fabric_iface_port"),
        (701, "servers[0].scm_mount"),
        (701, "servers[0].scm_size"),
    ] {
        assert!(codes.contains(&expected), "{expected:?} in {codes:?}");
    }
    assert_eq!(faults.len(), 8);
}
