//! Rules of one engine's own keys.

use super::{breaks, flat, notes, tiered};
use crate::support::valid;

#[test]
fn engines_use_one_provider() {
    let text = tiered("", "", "").replace("provider: ofi+tcp", "provider: ofi+tcp,ofi+verbs # <-");
    breaks(&text, &[(701, "provider")]);
    let text = tiered("", "  secondary_provider_endpoints: [2] # <-\n", "");
    breaks(&text, &[(701, "engines[0].secondary_provider_endpoints")]);
}

#[test]
fn r44_fabric_of_an_engine() {
    let text = tiered("", "", "").replace("  fabric_iface: eth0\n", "");
    breaks(&text, &[(701, "engines[0].fabric_iface")]);
    let text = tiered("", "", "").replace("  fabric_iface_port: 31416\n", "");
    breaks(&text, &[(701, "engines[0].fabric_iface_port")]);
    for port in ["0", "65536", "-1"] {
        let text = tiered("", "", "").replace("31416", &format!("{port} # <-"));
        breaks(&text, &[(701, "engines[0].fabric_iface_port")]);
    }
    breaks(&tiered("", "  crt_timeout: -1 # <-\n", ""), &[(701, "engines[0].crt_timeout")]);
}

#[test]
fn r50_r51_log_masks_of_engines() {
    let text = tiered("", "  log_mask: ERROR,mgmt=DEBUG\n", "");
    assert_eq!(valid(&text).engines[0].log_mask.as_deref(), Some("ERR,mgmt=DBUG"));
    breaks(&tiered("", "  log_mask: ERR,mgnt=DEBUG # <-\n", ""), &[(701, "engines[0].log_mask")]);
    for variable in ["D_LOG_MASK=LOUD", "DD_SUBSYS=nothing", "DD_MASK=vos"] {
        let text = tiered("", &format!("  env_vars:\n  - A=1\n  - {variable} # <-\n"), "");
        breaks(&text, &[(701, "engines[0].env_vars[1]")]);
    }
    let text = tiered("", "", "").replace("  log_file: /tmp/e0.log\n", "");
    notes(&text, "engines[0].log_file", "lands in the server's log");
}

#[test]
fn keys_of_an_engine() {
    let cases: [(&str, i32, &str); 12] = [
        ("  rank: 4294967295 # <-\n", 701, "rank"),
        ("  rank: -1 # <-\n", 701, "rank"),
        ("  nr_xs_helpers: -1 # <-\n", 701, "nr_xs_helpers"),
        ("  first_core: -1 # <-\n", 701, "first_core"),
        ("  first_core: 1\n  pinned_numa_node: 1 # <-\n", 701, "pinned_numa_node"),
        ("  env_pass_through:\n  - FI_OFI_RXM_USE_SRX # <-\n", 701, "env_pass_through[0]"),
        ("  env_pass_through:\n  - A=b # <-\n", 701, "env_pass_through[0]"),
        ("  env_vars:\n  - PMEMOBJ_CONF=sds.at_create=1 # <-\n", 701, "env_vars[0]"),
        ("  acceleration:\n    engine: gpu # <-\n", 307, "acceleration.engine"),
        ("  acceleration:\n    options:\n    - copy # <-\n", 308, "acceleration.options[0]"),
        ("  bdev_auto_faulty: {max_io_errs: -1} # <-\n", 701, "bdev_auto_faulty.max_io_errs"),
        ("  spdk_iobuf: {large_pool_count: -1} # <-\n", 701, "spdk_iobuf.large_pool_count"),
    ];
    for (keys, code, key) in cases {
        let text = tiered("", keys, "");
        breaks(&text, &[(code, &format!("engines[0].{key}"))]);
    }
}

#[test]
fn targets_are_required_in_the_2_8_form_and_mean_all_cores_in_the_seeds() {
    let text = tiered("", "", "").replace("targets: 4\n  ", "");
    breaks(&text, &[(701, "engines[0].targets")]);
    let text = tiered("", "", "").replace("targets: 4", "targets: 0 # <-");
    breaks(&text, &[(701, "engines[0].targets")]);
    assert_eq!(valid(&flat("", "")).engines[0].targets, 0);
    assert_eq!(valid(&flat("", "  targets: 3\n")).engines[0].targets, 3);
}

#[test]
fn e8_rank_zero_null_and_none_are_told_apart() {
    assert_eq!(valid(&flat("", "")).engines[0].rank, None);
    assert_eq!(valid(&flat("", "  rank: null\n")).engines[0].rank, None);
    assert_eq!(valid(&flat("", "  rank: 0\n")).engines[0].rank, Some(0));
    assert_eq!(valid(&flat("", "  rank: 4294967294\n")).engines[0].rank, Some(u32::MAX - 1));
}

#[test]
fn e12_malformed_variables_are_left_out_with_a_notice() {
    let text = flat("", "  env_vars: [A=1, word, =x, B=, A=2, 'C=a=b;c']\n");
    let config = valid(&text);
    let kept: Vec<String> = config.engines[0].env_vars.iter().map(ToString::to_string).collect();
    assert_eq!(kept, ["A=1", "C=a=b;c"]);
    for index in 1..=4 {
        notes(&text, &format!("servers[0].env_vars[{index}]"), "left out");
    }
}

#[test]
fn w20_keys_that_the_top_level_overrides_are_noticed() {
    let text = flat("name: right\n", "  name: wrong\n  socket_dir: /wrong\n  modules: wrong\n");
    let config = valid(&text);
    assert_eq!((config.name.as_str(), config.modules.as_str()), ("right", ""));
    for key in ["name", "socket_dir", "modules"] {
        notes(&text, &format!("servers[0].{key}"), "without effect");
    }
}
