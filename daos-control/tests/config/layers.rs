//! Which file is read, what overrides what, and what is saved.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use daos_control::Fault;
use daos_control::config::{
    ACTIVE_FILE_NAME, CommandLine, ConfigError, ScmTier, Surroundings, default_state_dir, load,
    save_active,
};

use crate::support::{load as load_text, load_with, surroundings, valid, valid_with};

const FILE: &str = "\
name: from_file
port: 10002
provider: ofi+tcp
socket_dir: /run/from_file
modules: file
fabric_iface: eth9
fabric_iface_port: 31416
engines:
- targets: 4
  storage: [{class: ram, scm_mount: /mnt/d0}]
- targets: 4
  fabric_iface: eth1
  storage: [{class: ram, scm_mount: /mnt/d1}]
";

fn command_line() -> CommandLine {
    CommandLine {
        port: Some(10003),
        storage: Some("/mnt/cli".to_owned()),
        modules: Some("cli".to_owned()),
        targets: Some(2),
        helper_streams: Some(3),
        first_core: Some(5),
        group: Some("from_cli".to_owned()),
        socket_dir: Some("/run/cli".to_owned()),
        insecure: true,
        recreate_superblocks: true,
    }
}

#[test]
fn r26_each_option_overrides_the_file() {
    let config = valid_with(FILE, &command_line());
    assert_eq!((config.port, config.name.as_str()), (10003, "from_cli"));
    assert_eq!((config.modules.as_str(), config.socket_dir.to_str()), ("cli", Some("/run/cli")));
    assert!(config.transport.allow_insecure && config.recreate_superblocks);
    for engine in &config.engines {
        let numbers = (engine.targets, engine.helper_streams, engine.first_core);
        assert_eq!(numbers, (2, 3, Some(5)), "all engines");
    }
    let mounts: Vec<_> = config.engines.iter().map(|engine| engine.scm.mount().to_str()).collect();
    assert_eq!(mounts, [Some("/mnt/cli"), Some("/mnt/d1")], "-s is for the first engine only");
}

#[test]
fn r26_options_reach_the_seeds_form() {
    let text = "provider: ofi+tcp\nservers:\n- fabric_iface: eth0\n  fabric_iface_port: 31416\n  \
                scm_class: ram\n  scm_size: 4\n";
    let config = valid_with(text, &command_line());
    assert_eq!(config.engines[0].targets, 2);
    assert_eq!(config.engines[0].scm.mount(), Path::new("/mnt/cli"));
}

#[test]
fn r26_e11_zero_means_not_given_but_for_helpers() {
    let zeros = CommandLine {
        port: Some(0),
        targets: Some(0),
        first_core: Some(0),
        helper_streams: Some(0),
        ..CommandLine::default()
    };
    let text = FILE.replace("targets: 4", "targets: 4\n  nr_xs_helpers: 7\n  first_core: 1");
    let engine = &valid_with(&text, &zeros).engines[0];
    assert_eq!((engine.targets, engine.helper_streams, engine.first_core), (4, 0, Some(1)));
    assert_eq!(valid_with(&text, &zeros).port, 10002);
}

#[test]
fn w19_an_absent_option_does_not_undo_the_file() {
    let text =
        format!("{FILE}recreate_superblocks: true\ntransport_config: {{allow_insecure: true}}\n");
    let config = valid(&text);
    assert!(config.recreate_superblocks && config.transport.allow_insecure);
}

#[test]
fn r26_transport_keys_are_layered_one_by_one() {
    let text = format!("{FILE}transport_config: {{cert: /etc/mine.crt}}\n");
    let transport = valid_with(&text, &command_line()).transport;
    assert_eq!(transport.cert, Path::new("/etc/mine.crt"));
    assert_eq!(transport.key, Path::new("/etc/daos/certs/server.key"));
    assert!(transport.allow_insecure);
}

#[test]
fn r28_engines_inherit_what_they_do_not_say() {
    let config = valid(FILE);
    let fabric = |index: usize| &config.engines[index].fabric;
    assert_eq!((fabric(0).interface.as_str(), fabric(1).interface.as_str()), ("eth9", "eth1"));
    assert_eq!((fabric(0).provider.as_str(), fabric(0).port), ("ofi+tcp", 31416));
    let text = FILE.replace(
        "provider: ofi+tcp\n",
        "provider: ofi+tcp\ncrt_timeout: 9\ndisable_srx: true\nfabric_auth_key: k\n",
    );
    let fabric = &valid(&text).engines[0].fabric;
    assert_eq!((fabric.crt_timeout_s, fabric.disable_srx), (Some(9), true));
    assert_eq!(fabric.auth_key.as_deref(), Some("k"));
}

#[test]
fn faults_of_options_do_not_point_into_the_file() {
    let options =
        CommandLine { group: Some("much_too_long_a_name".to_owned()), ..CommandLine::default() };
    let Err(ConfigError::Invalid { faults, .. }) = load_with(FILE, &options) else { panic!() };
    assert_eq!((faults[0].key.as_str(), faults[0].position), ("name", None));
    assert!(faults[0].fault.description.contains("command line"), "{faults:?}");
}

/// Also run by the test below, in processes with other environments, for what it prints.
#[test]
fn r27_the_file_decides() {
    let config = valid(FILE);
    assert_eq!((config.name.as_str(), config.port), ("from_file", 10002));
    println!("<<{config:?}>>");
}

#[test]
fn r27_the_environment_sets_nothing() {
    let print = |variables: &[(&str, &str)]| {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "layers::r27_the_file_decides", "--nocapture"])
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let from = text.find("<<").unwrap();
        text[from..text.find(">>").unwrap()].to_owned()
    };
    let plain = print(&[]);
    assert!(plain.contains("from_file"));
    let shouted = print(&[
        ("NAME", "x"),
        ("name", "x"),
        ("PORT", "1"),
        ("DAOS_NAME", "x"),
        ("DAOS_SERVER_PORT", "1"),
        ("PROVIDER", "x"),
        ("D_PROVIDER", "x"),
        ("D_LOG_MASK", "x"),
        ("OFI_INTERFACE", "x"),
        ("FIGMENT_NAME", "x"),
    ]);
    assert_eq!(plain, shouted);
}

#[test]
fn r22_an_absolute_path_is_taken_as_it_is_and_a_relative_one_from_the_current_directory() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("sub")).unwrap();
    let file = directory.path().join("sub/mine.yml");
    fs::write(&file, FILE).unwrap();
    let surroundings = Surroundings { current_dir: directory.path().to_owned(), ..surroundings() };
    let none = CommandLine::default();
    for given in [file.as_path(), Path::new("sub/mine.yml"), Path::new("./sub/mine.yml")] {
        let loaded = load(Some(given), &none, &surroundings).unwrap();
        assert_eq!(loaded.config.name, "from_file");
        assert!(loaded.path.is_absolute());
    }
    let link = directory.path().join("link.yml");
    symlink(&file, &link).unwrap();
    assert_eq!(load(Some(&link), &none, &surroundings).unwrap().path, link);
}

#[test]
fn r22_r21_a_file_that_is_not_there_is_an_error() {
    let missing = load(Some(Path::new("/no/such.yml")), &CommandLine::default(), &surroundings());
    let Err(error) = missing else { panic!() };
    let fault = Fault::from(&error);
    assert_eq!(fault.code, 702);
    assert!(fault.description.starts_with("failed to load config"), "{fault}");
    assert!(fault.description.contains("/no/such.yml"), "{fault}");
    assert!(fault.resolution.contains("examples/config"), "{fault:?}");
}

#[test]
fn r23_e9_the_default_is_beside_the_program() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join("etc")).unwrap();
    fs::write(directory.path().join("etc/daos_server.yml"), FILE).unwrap();
    let installed = Surroundings {
        executable: directory.path().join("bin/daos_server"),
        current_dir: PathBuf::from("/nowhere"),
        ..surroundings()
    };
    let loaded = load(None, &CommandLine::default(), &installed).unwrap();
    assert_eq!(loaded.path, directory.path().join("etc/daos_server.yml"));
    let elsewhere = Surroundings { executable: PathBuf::from("/no/bin/daos_server"), ..installed };
    match load(None, &CommandLine::default(), &elsewhere) {
        Err(ConfigError::NotFound { tried }) => assert_eq!(
            tried,
            [Path::new("/no/etc/daos_server.yml"), Path::new("/etc/daos/daos_server.yml")]
        ),
        // A machine may have the second one.
        other => assert!(Path::new("/etc/daos/daos_server.yml").exists(), "{other:?}"),
    }
}

#[test]
fn what_is_no_plain_file_is_refused_without_waiting() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    for path in [directory.path(), fifo.as_path(), Path::new("/dev/zero")] {
        let refused = load(Some(path), &CommandLine::default(), &surroundings());
        let Err(error @ ConfigError::Unreadable { .. }) = refused else { panic!("{refused:?}") };
        assert_eq!(error.code(), 1314);
    }
}

#[test]
fn r36_r39_the_active_file_loads_to_the_same_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("daos_server.yml");
    let odd = "  env_vars: ['A= b', 'C=no', 'D=0x10', \"E=quote'd\", 'F=#x: y']\n  log_mask: err,mgmt=debug\n";
    fs::write(&file, FILE.replacen("- targets: 4\n", &format!("- targets: 4\n{odd}"), 1)).unwrap();
    let loaded = load(Some(&file), &command_line(), &surroundings()).unwrap();
    let saved = save_active(&loaded.path, &loaded.effective).unwrap();
    assert_eq!(saved, directory.path().join(ACTIVE_FILE_NAME));
    let again = load(Some(&saved), &CommandLine::default(), &surroundings()).unwrap();
    assert_eq!(again.config, loaded.config);
    assert_eq!(again.effective, loaded.effective);
    assert!(!fs::read_to_string(&saved).unwrap().contains("\npath:"), "W26");
}

#[test]
fn r36_the_active_file_holds_the_defaults() {
    let loaded = load_text("engines: []\n").unwrap();
    let text = serde_saphyr::to_string(&loaded.effective).unwrap();
    for line in [
        "name: daos_server",
        "port: 10001",
        "socket_dir: /var/run/daos_server",
        "control_log_mask: INFO",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
}

#[test]
fn state_dir_is_the_systems_or_the_users() {
    let directory = tempfile::tempdir().unwrap();
    let system = directory.path().join("lib/daos_server");
    let user = Some(PathBuf::from("/home/u"));
    assert_eq!(default_state_dir(&system, None, user.clone()), system, "it can be made");
    let closed = Path::new("/proc/self/daos_server");
    let found = default_state_dir(closed, None, user.clone());
    assert_eq!(found, Path::new("/home/u/.local/state/daos_server"));
    let xdg = default_state_dir(closed, Some("/x".into()), user);
    assert_eq!(xdg, Path::new("/x/daos_server"));
    assert_eq!(default_state_dir(closed, None, None), closed);
    assert_eq!(default_state_dir(closed, Some("relative".into()), None), closed);
}

#[test]
fn e10_port_zero_is_refused_in_the_file() {
    let Err(error) = load_text(&FILE.replace("port: 10002", "port: 0")) else { panic!() };
    assert_eq!(error.code(), 703);
}

#[test]
fn ram_tiers_of_size_zero_take_the_computed_one() {
    let mut config = valid(FILE);
    config.size_ram_tiers(17);
    assert!(matches!(config.engines[1].scm, ScmTier::Ram { size_gib: 17, .. }));
}
