//! Arguments, help, configuration, log.

use std::process::Command;

use crate::run::Dmg;

/// R99: help at every level, on standard output, exit 0.
#[test]
fn help_is_given_at_every_level() {
    let levels = [
        "",
        "storage",
        "storage scan",
        "storage format",
        "storage prepare",
        "network",
        "network scan",
        "system",
        "system query",
        "system stop",
        "system start",
        "system exclude",
        "system clear-exclude",
        "system erase",
        "system leader-query",
        "system list-pools",
        "system set-prop",
        "system get-prop",
        "system set-attr",
        "system get-attr",
        "system del-attr",
        "server",
        "server set-logmasks",
        "version",
    ];
    for level in levels {
        for help in ["--help", "-h"] {
            let run = Dmg::without_config(&format!("{level} {help}")).run();
            assert_eq!((run.status(), run.stderr().as_str()), (0, ""), "{level} {help}");
            assert!(
                run.stdout().contains(&format!("Usage: dmg {level}").trim_end().to_owned()),
                "{}",
                run.stdout()
            );
        }
    }
    Dmg::without_config("help system stop").run().is("help_system_stop");
}

/// Both generations' names lead to the same command.
#[test]
fn aliases_of_both_generations_are_known() {
    for line in [
        "sto scan",
        "st s",
        "storage f",
        "sto p",
        "net scan",
        "sys query",
        "sy q",
        "sy l",
        "sy p",
        "srv slm",
    ] {
        let run = Dmg::without_config(&format!("{line} --help")).run();
        assert_eq!(run.status(), 0, "{line}");
    }
}

#[test]
fn a_misspelt_command_gets_a_suggestion() {
    Dmg::without_config("system qeury").run().is("misspelt");
    Dmg::without_config("storage format --refromat -j").run().is("misspelt_json");
    Dmg::without_config("").run().is("no_command");
    assert_eq!(Dmg::without_config("storage scan -v -n").run().status(), 1);
}

#[test]
fn the_version_is_told() {
    let run = Dmg::without_config("version").run();
    let own = env!("CARGO_PKG_VERSION");
    assert_eq!(
        (run.status(), run.stdout()),
        (0, format!("dmg version v{own} (speaks DAOS 2.8.0)\n"))
    );
    let json = Dmg::without_config("version --json").run().json();
    assert_eq!(
        (&json["response"]["name"], &json["response"]["version"]),
        (&"dmg".into(), &own.into())
    );
}

/// R100, R101: lists and files that cannot be read are refused before anything is asked.
#[test]
fn bad_host_lists_are_refused() {
    Dmg::new(10001, "storage scan -l node[3-1]").run().is("host_list_reversed");
    Dmg::new(10001, "storage scan -l 1001").run().is("host_list_bare_number");
    let dmg = Dmg::new(10001, "storage scan");
    let file = dmg.home().join("hosts");
    std::fs::write(&file, "# racks\nnode1\nnode[1\n").unwrap();
    let run = dmg.arg("-f").arg(&file).run();
    assert_eq!(run.status(), 1);
    assert!(
        run.stderr().contains("host list line 3 \"node[1\", character 5: '[' is never closed"),
        "{}",
        run.stderr()
    );
    let run = Dmg::new(10001, "storage scan -f /nonexistent/hosts").run();
    assert!(
        run.stderr().contains("cannot read /nonexistent/hosts: No such file"),
        "{}",
        run.stderr()
    );
}

/// R102: a configuration file that is named must exist; without one the defaults hold.
#[test]
fn configuration_files_are_found_or_missed() {
    Dmg::without_config("system query -o /nonexistent/daos_control.yml").run().is("config_missing");
    let dmg = Dmg::without_config("system query -i");
    std::fs::write(dmg.home().join(".daos_control.yml"), "hostlits: [a]\n").unwrap();
    let run = dmg.run();
    assert_eq!(run.status(), 1);
    assert!(run.stderr().contains("did you mean `hostlist`"), "{}", run.stderr());
}

/// R103: without insecure mode certificates are needed, and nothing is asked without them.
#[test]
fn secure_mode_needs_certificates() {
    let dmg = Dmg::without_config("system query");
    let config = dmg.home().join("c.yml");
    std::fs::write(&config, "transport_config: {ca_cert: /nonexistent/ca.crt}\n").unwrap();
    let run = dmg.arg("-o").arg(&config).run();
    assert_eq!(run.status(), 1);
    assert!(
        run.stderr().contains("certificate file /nonexistent/ca.crt does not exist"),
        "{}",
        run.stderr()
    );
    assert!(run.stderr().contains("security: code = 901 resolution = "), "{}", run.stderr());
}

/// Standard output carries results only; the log goes elsewhere.
#[test]
fn the_log_stays_off_standard_output() {
    let run = Dmg::without_config("version -d").run();
    assert_eq!(run.stdout().lines().count(), 1);
    assert!(run.stderr().contains("DEBUG"), "{}", run.stderr());
}

#[test]
fn log_lines_can_be_json_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("dmg.log");
    let run =
        Dmg::without_config("version --debug --json-logging").arg("--log-file").arg(&log).run();
    assert_eq!((run.status(), run.stderr().as_str()), (0, ""));
    let text = std::fs::read_to_string(&log).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(line["level"], "DEBUG");
    assert_eq!(line["message"], "no configuration file, built-in defaults");
    let run = Dmg::without_config("version --log-file /nonexistent/x.log").run();
    assert_eq!(run.status(), 1);
    assert!(run.stderr().contains("cannot create log file /nonexistent/x.log"), "{}", run.stderr());
}

/// R95: the tool links no storage, membership or server code.
#[test]
fn no_storage_crate_is_linked() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "-p", "dmg", "-e", "normal", "--prefix", "none"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(tree.contains("daos-control") && tree.contains("clap"), "{tree}");
    for foreign in ["daos-storage", "daos-blockdev", "daos-membership", "redb", "openraft", "axum"]
    {
        assert!(!tree.contains(foreign), "dmg links {foreign}:\n{tree}");
    }
}

/// A result that is lost is a failure; a reader that goes away is not.
#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let mut dmg = Dmg::without_config("version");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = dmg.command().stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("the result cannot be written"), "{stderr}");
}
