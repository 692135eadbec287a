use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::{Environment, EnvironmentInput, environment, without_proxies};
use crate::config::EngineConfig;
use crate::config::testing::config;

/// An engine with the usual keys and `keys` on top, each line indented by two blanks.
fn engine(keys: &str) -> EngineConfig {
    engine_of("ofi+tcp", "class: ram, scm_mount: /mnt/d", keys)
}

fn engine_of(provider: &str, scm: &str, keys: &str) -> EngineConfig {
    let text = format!(
        "provider: {provider}\nengines:\n- targets: 1\n  fabric_iface: eth0\n  fabric_iface_port: 31416\n{}{keys}",
        if keys.contains("storage:") { String::new() } else { format!("  storage: [{{{scm}}}]\n") }
    );
    config(&text).engines.remove(0)
}

fn pairs(launching: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    launching.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn made(engine: &EngineConfig, launching: &[(&str, &str)]) -> Environment {
    let launching = pairs(launching);
    let input = EnvironmentInput { launching: &launching, ..EnvironmentInput::default() };
    environment(engine, &input).unwrap()
}

fn value<'a>(environment: &'a Environment, name: &str) -> Option<&'a str> {
    environment.get(OsStr::new(name)).map(|value| value.to_str().unwrap())
}

#[test]
fn contract_4_3_everything_that_keys_say() {
    let engine =
        engine("  log_mask: error,mgmt=debug\n  log_file: /tmp/e.log\n  fabric_auth_key: secret\n");
    let launching = pairs(&[]);
    let input = EnvironmentInput {
        launching: &launching,
        domain: Some("mlx5_0"),
        ..EnvironmentInput::default()
    };
    let made = environment(&engine, &input).unwrap();
    let listed: Vec<_> = made
        .iter()
        .map(|(name, value)| format!("{}={}", name.to_str().unwrap(), value.to_str().unwrap()))
        .collect();
    assert_eq!(
        listed,
        [
            "CRT_PHY_ADDR_STR=ofi+tcp",
            "CRT_TIMEOUT=0",
            "D_DOMAIN=mlx5_0",
            "D_INTERFACE=eth0",
            "D_LOG_FILE=/tmp/e.log",
            "D_LOG_MASK=ERR,mgmt=DBUG",
            "D_PORT=31416",
            "D_PROVIDER=ofi+tcp",
            "D_PROVIDER_AUTH_KEY=secret",
            "FI_OFI_RXM_USE_SRX=1",
            "OFI_INTERFACE=eth0",
            "OFI_PORT=31416",
            "PMEMOBJ_CONF=sds.at_create=0",
        ]
    );
}

#[test]
fn r29_keys_win_over_the_launching_environment_also_when_absent() {
    let from_outside = [
        ("D_PROVIDER", "bad"),
        ("D_INTERFACE", "bad"),
        ("D_PORT", "1"),
        ("D_DOMAIN", "bad"),
        ("D_LOG_MASK", "bad"),
        ("D_LOG_FILE", "bad"),
        ("CRT_PHY_ADDR_STR", "bad"),
        ("OFI_INTERFACE", "bad"),
        ("OFI_PORT", "1"),
    ];
    let made = made(&engine(""), &from_outside);
    assert_eq!(value(&made, "D_PROVIDER"), Some("ofi+tcp"));
    assert_eq!(value(&made, "CRT_PHY_ADDR_STR"), Some("ofi+tcp"));
    assert_eq!(value(&made, "OFI_INTERFACE"), Some("eth0"));
    assert_eq!(value(&made, "D_PORT"), Some("31416"));
    for name in ["D_DOMAIN", "D_LOG_MASK", "D_LOG_FILE"] {
        assert_eq!(value(&made, name), None, "{name} has no key and must not come from outside");
    }
}

#[test]
fn r30_r31_env_vars_arrive_as_written_and_win_over_the_launching_environment() {
    let engine = engine("  env_vars: [CRT_TIMEOUT=30, 'A=b=c;d e', 'B= x ']\n");
    let made = made(&engine, &[("CRT_TIMEOUT", "1"), ("A", "outside")]);
    assert_eq!(value(&made, "CRT_TIMEOUT"), Some("30"));
    assert_eq!(value(&made, "A"), Some("b=c;d e"));
    assert_eq!(value(&made, "B"), Some(" x "));
}

#[test]
fn r32_the_rest_of_the_launching_environment_passes_unchanged() {
    let raw = OsStr::from_bytes(b"\xff\xfe").to_owned();
    let launching = vec![("FOO".into(), "1".into()), ("BYTES".into(), raw.clone())];
    let input = EnvironmentInput { launching: &launching, ..EnvironmentInput::default() };
    let made = environment(&engine(""), &input).unwrap();
    assert_eq!(value(&made, "FOO"), Some("1"));
    assert_eq!(made.get(OsStr::new("BYTES")), Some(&raw));
}

#[test]
fn r33_first_duplicates_win_and_empty_or_malformed_entries_are_left_out() {
    let engine = engine("  env_vars: [A=1, A=2, NOVALUE=, =nothing, word, 'C=x;y=z']\n");
    let made = made(&engine, &[("A", "0"), ("D", "1"), ("D", "2"), ("EMPTY", "")]);
    assert_eq!(value(&made, "A"), Some("1"));
    assert_eq!(value(&made, "C"), Some("x;y=z"));
    assert_eq!(value(&made, "D"), Some("1"));
    for name in ["NOVALUE", "", "word", "EMPTY"] {
        assert_eq!(value(&made, name), None, "{name}");
    }
}

#[test]
fn r34_proxies_are_removed_unless_allowed() {
    let launching = pairs(&[("https_proxy", "p"), ("NO_PROXY", "n"), ("Https_Proxy", "kept")]);
    let engine = engine("");
    let scrubbed = EnvironmentInput { launching: &launching, ..EnvironmentInput::default() };
    let made = environment(&engine, &scrubbed).unwrap();
    assert_eq!(value(&made, "https_proxy"), None);
    assert_eq!(value(&made, "NO_PROXY"), None);
    assert_eq!(value(&made, "Https_Proxy"), Some("kept"));
    let allowed = EnvironmentInput { allow_proxy: true, ..scrubbed };
    assert_eq!(value(&environment(&engine, &allowed).unwrap(), "https_proxy"), Some("p"));
    assert_eq!(without_proxies(launching), pairs(&[("Https_Proxy", "kept")]));
}

#[test]
fn env_pass_through_limits_what_passes() {
    let engine = engine("  env_pass_through: [LD_LIBRARY_PATH, D_PORT, no_proxy]\n");
    let made = made(
        &engine,
        &[("LD_LIBRARY_PATH", "/lib"), ("PATH", "/bin"), ("D_PORT", "1"), ("no_proxy", "x")],
    );
    assert_eq!(value(&made, "LD_LIBRARY_PATH"), Some("/lib"));
    assert_eq!(value(&made, "PATH"), None);
    assert_eq!(value(&made, "D_PORT"), Some("31416"));
    assert_eq!(value(&made, "no_proxy"), None);
}

#[test]
fn crt_timeout_comes_from_key_then_env_vars_then_outside_then_zero() {
    let outside = [("CRT_TIMEOUT", "7")];
    for (keys, launching, expected) in [
        ("  crt_timeout: 5\n  env_vars: [CRT_TIMEOUT=6]\n", &outside[..], "5"),
        ("  env_vars: [CRT_TIMEOUT=6]\n", &outside[..], "6"),
        ("", &outside[..], "7"),
        ("", &[][..], "0"),
        ("  crt_timeout: 0\n", &outside[..], "0"),
    ] {
        assert_eq!(value(&made(&engine(keys), launching), "CRT_TIMEOUT"), Some(expected), "{keys}");
    }
}

#[test]
fn srx_follows_its_key_alone() {
    let engine = engine("  disable_srx: true\n  env_vars: [FI_OFI_RXM_USE_SRX=1]\n");
    assert_eq!(value(&made(&engine, &[]), "FI_OFI_RXM_USE_SRX"), Some("0"));
}

#[test]
fn r57_r58_r59_bdev_class_variable() {
    for (plane, tier, class) in [
        ("engine", "class: file, bdev_list: [/tmp/a], bdev_size: 1", Some("AIO")),
        ("engine", "class: kdev, bdev_list: [/dev/sdc]", Some("AIO")),
        ("engine", "class: nvme, bdev_list: ['0000:81:00.0']", Some("NVME")),
        ("emulated", "class: malloc, bdev_number: 1, bdev_size: 4", Some("MALLOC")),
        ("engine", "class: nvme, bdev_list: []", None),
    ] {
        let text = format!(
            "data_plane: {plane}\nprovider: ofi+tcp\nengines:\n- {{targets: 1, fabric_iface: lo, \
             fabric_iface_port: 31416, storage: [{{class: ram, scm_mount: /mnt/d}}, {{{tier}}}]}}\n"
        );
        let made = made(&config(&text).engines[0], &[]);
        assert_eq!(value(&made, "VOS_BDEV_CLASS"), class, "{tier}");
    }
}

#[test]
fn r35_domain_is_set_unless_env_vars_has_one() {
    let launching = pairs(&[]);
    let input = EnvironmentInput {
        launching: &launching,
        domain: Some("mlx5_0"),
        ..EnvironmentInput::default()
    };
    for (keys, domain) in [
        ("", Some("mlx5_0")),
        ("  env_vars: [OFI_DOMAIN=hfi1_0]\n", None),
        ("  env_vars: [D_DOMAIN=hfi1_0]\n", Some("hfi1_0")),
    ] {
        let made = environment(&engine(keys), &input).unwrap();
        assert_eq!(value(&made, "D_DOMAIN"), domain, "{keys}");
    }
}

#[test]
fn subsystems_fold_into_the_mask_from_either_source() {
    let inside = engine("  log_mask: debug\n  env_vars: [DD_SUBSYS=vos]\n");
    let folded = made(&inside, &[]);
    assert_eq!(value(&folded, "D_LOG_MASK"), Some("ERR,vos=DBUG"));
    assert_eq!(value(&folded, "DD_SUBSYS"), None);
    let plain = engine("  log_mask: debug\n");
    let folded = made(&plain, &[("DD_SUBSYS", "mgmt")]);
    assert_eq!(value(&folded, "D_LOG_MASK"), Some("ERR,mgmt=DBUG"));
    let unmasked = made(&engine(""), &[("DD_SUBSYS", "mgmt")]);
    assert_eq!(value(&unmasked, "DD_SUBSYS"), Some("mgmt"));
    let launching = pairs(&[("DD_SUBSYS", "nonsense")]);
    let input = EnvironmentInput { launching: &launching, ..EnvironmentInput::default() };
    let error = environment(&plain, &input).unwrap_err();
    assert_eq!(error.code(), 701);
    assert!(error.to_string().contains("`nonsense` is not a subsystem"), "{error}");
}

#[test]
fn pmemobj_and_stack_size_follow_class_and_provider() {
    let dcpm = "class: dcpm, scm_mount: /mnt/d, scm_list: [/dev/pmem0]";
    let ram = "class: ram, scm_mount: /mnt/d";
    for (provider, scm, keys, pmemobj, stack) in [
        ("ofi+tcp", ram, "", Some("sds.at_create=0"), None),
        ("ofi+tcp", ram, "  env_vars: [PMEMOBJ_CONF=a=1]\n", Some("a=1;sds.at_create=0"), None),
        (
            "ofi+tcp",
            ram,
            "  env_vars: [PMEMOBJ_CONF=sds.at_create=0]\n",
            Some("sds.at_create=0"),
            None,
        ),
        ("ofi+tcp", dcpm, "", None, Some("20480")),
        ("ucx+dc_x", ram, "", Some("sds.at_create=0"), Some("32768")),
        ("ucx+dc_x", dcpm, "", None, Some("32768")),
        (
            "ucx+dc_x",
            ram,
            "  env_vars: [ABT_THREAD_STACKSIZE=40000]\n",
            Some("sds.at_create=0"),
            Some("40000"),
        ),
    ] {
        let made = made(&engine_of(provider, scm, keys), &[]);
        assert_eq!(value(&made, "PMEMOBJ_CONF"), pmemobj, "{provider} {scm} {keys}");
        assert_eq!(value(&made, "ABT_THREAD_STACKSIZE"), stack, "{provider} {scm} {keys}");
    }
    let launching = pairs(&[("PMEMOBJ_CONF", "sds.at_create=1")]);
    let input = EnvironmentInput { launching: &launching, ..EnvironmentInput::default() };
    assert_eq!(environment(&engine(""), &input).unwrap_err().code(), 701);
}

#[test]
fn metadata_on_disk_needs_a_larger_stack() {
    let text = "provider: ofi+tcp\ncontrol_metadata: {path: /var/daos}\nengines:\n- targets: 1\n  \
                fabric_iface: lo\n  fabric_iface_port: 31416\n  storage:\n  - {class: ram, scm_mount: /mnt/d}\n  \
                - {class: file, bdev_list: [/tmp/a], bdev_size: 1, bdev_roles: [wal, meta, data]}\n";
    assert_eq!(value(&made(&config(text).engines[0], &[]), "ABT_THREAD_STACKSIZE"), Some("24576"));
}

#[test]
fn contract_4_3_plain_verbs_get_the_message_layer_when_inherited() {
    let inherited = engine_of("ofi+verbs", "class: ram, scm_mount: /mnt/d", "");
    assert_eq!(value(&made(&inherited, &[]), "D_PROVIDER"), Some("ofi+verbs;ofi_rxm"));
    let own = engine("  provider: ofi+verbs\n");
    assert_eq!(value(&made(&own, &[]), "D_PROVIDER"), Some("ofi+verbs"));
}
