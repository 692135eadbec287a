//! What `daos_server` does without being started: help, version, files (scans: `scans.rs`); and the quickstart, word for word.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use daos_control::testing::programs_beside;

fn programs() -> PathBuf {
    programs_beside(Path::new(env!("CARGO_BIN_EXE_daos_server"))).expect("a whole workspace")
}

/// Runs a program in an empty directory, where it finds no configuration and may leave nothing.
fn run(program: &str, arguments: &[&str]) -> Output {
    let empty = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(programs().join(program));
    let output = command.args(arguments).current_dir(empty.path()).output().expect("it runs");
    let left = std::fs::read_dir(empty.path()).expect("the directory").count();
    assert_eq!(left, 0, "{program} {arguments:?} left something behind");
    output
}

fn daos_server(line: &str) -> Output {
    run("daos_server", &line.split_whitespace().collect::<Vec<_>>())
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[test]
fn r19_r66_help_is_given_at_every_level() {
    for (level, words) in [
        (
            "",
            &["start", "storage", "network", "config", "version", "--config", "--allow-proxy"][..],
        ),
        ("start", &["--port", "--targets", "--recreate-superblocks", "--insecure"]),
        ("storage", &["scan"]),
        ("storage scan", &["--json"]),
        ("network", &["scan", "list"]),
        ("network scan", &["--provider", "--all"]),
        ("network list", &["--json"]),
        ("config", &["check", "convert", "schema", "generate"]),
        (
            "config generate",
            &["--ms-replicas", "--num-engines", "--min-ssds", "--net-class", "--use-tmpfs-scm"],
        ),
        ("cert", &["init", "issue", "show"]),
        ("cert init", &["--dir", "--days", "--key", "--replace"]),
        ("cert issue", &["admin", "server", "agent", "--san", "--days", "--key", "--ca-key"]),
        ("cert show", &["[PATH]..."]),
        ("config check", &["<FILE>"]),
        ("config convert", &["<FILE>"]),
        ("version", &["--json"]),
    ] {
        for help in ["--help", "-h"] {
            let told = daos_server(&format!("{level} {help}"));
            assert_eq!((told.status.code(), text(&told.stderr)), (Some(0), ""), "{level} {help}");
            for word in words {
                assert!(text(&told.stdout).contains(word), "{level}: {}", text(&told.stdout));
            }
        }
    }
}

/// The way of `docs/security.md`, from an empty directory to certificates that are shown.
#[test]
fn certificates_are_made_shown_and_not_overwritten() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = dir.path().display();
    let ok = |line: String| {
        let told = daos_server(&line);
        assert_eq!((told.status.code(), text(&told.stderr)), (Some(0), ""), "{line}");
        text(&told.stdout).to_owned()
    };
    assert!(ok(format!("cert init --dir {at}")).contains("daosCA.key on this host only"));
    for role in ["admin", "server", "agent"] {
        let told = ok(format!("cert issue --dir {at} {role} --san node1 --san 10.0.0.1 --days 20"));
        assert!(told.contains(&format!("CN={role}, until ")), "{told}");
    }
    let shown = ok(format!("cert show {at}"));
    for words in ["authority", "DNS:node1, IP:10.0.0.1", "renew it soon", " days left)", "SHA-256"]
    {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let shown = ok(format!("cert show --json {at}/server.crt"));
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    let server = &shown["certificates"][0];
    assert_eq!(server["role"], "server");
    // A whole day is one second less than a day once the clock has moved.
    assert!(matches!(server["days_left"].as_i64(), Some(19 | 20)), "{server}");
    for line in [format!("cert init --dir {at}"), format!("cert issue --dir {at} admin")] {
        let told = daos_server(&line);
        assert_eq!(told.status.code(), Some(1), "{line}");
        assert!(text(&told.stderr).contains("code = 1408"), "{}", text(&told.stderr));
    }
    let told = daos_server("cert show /nonexistent/server.crt");
    assert!(told.status.code() == Some(1) && text(&told.stderr).contains("code = 901"));
}

#[test]
fn r69_a_command_is_needed_and_misspelt_ones_get_a_suggestion() {
    for (line, words) in [
        ("", &["start", "storage", "version"][..]),
        ("strat", &["'start'"]),
        ("storage scna", &["'scan'"]),
        ("start --tragets 3", &["'--targets'"]),
        ("network scan eth0", &["eth0"]),
    ] {
        let told = daos_server(line);
        assert_eq!((told.status.code(), text(&told.stdout)), (Some(1), ""), "{line:?}");
        for word in words {
            assert!(text(&told.stderr).contains(word), "{line:?}: {}", text(&told.stderr));
        }
    }
}

#[test]
fn r70_the_version_needs_no_configuration() {
    let told = daos_server("version");
    let own = env!("CARGO_PKG_VERSION");
    assert_eq!(told.status.code(), Some(0));
    assert!(text(&told.stdout).starts_with(&format!("daos_server version {own} ")), "{told:?}");
    let json: serde_json::Value =
        serde_json::from_slice(&daos_server("version --json").stdout).expect("JSON");
    assert_eq!((&json["name"], &json["version"]), (&"daos_server".into(), &own.into()));
}

#[test]
fn configuration_files_are_checked_and_converted() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).expect("written");
        path.to_str().expect("a name").to_owned()
    };
    let good = file("good.yml", "engines: []\n");
    let check = run("daos_server", &["config", "check", &good]);
    assert_eq!(check.status.code(), Some(0), "{check:?}");
    assert!(text(&check.stdout).contains("is valid"), "{check:?}");
    assert!(text(&check.stderr).starts_with("NOTICE: "), "{check:?}");

    let bad = file("bad.yml", "port: 0\nname: ''\nengines: []\n");
    let check = run("daos_server", &["config", "check", &bad]);
    assert_eq!((check.status.code(), text(&check.stdout)), (Some(1), ""));
    let told = text(&check.stderr);
    assert!(told.contains("bad.yml:1: port") && told.contains("bad.yml:2: name"), "{told}");
    let lines = |words: &str| told.lines().filter(|line| line.contains(words)).count();
    assert_eq!((lines("ERROR: serverconfig: code = "), lines("resolution = ")), (4, 2), "{told}");

    let seed = file(
        "seed.yml",
        "provider: ofi+tcp\nservers:\n- {targets: 1, fabric_iface: lo, fabric_iface_port: 1, scm_class: ram, \
         scm_mount: /mnt/d, scm_size: 4}\n",
    );
    let convert = run("daos_server", &["config", "convert", &seed]);
    assert_eq!(convert.status.code(), Some(0), "{convert:?}");
    assert!(text(&convert.stdout).contains("engines:"), "{convert:?}");
    let schema: serde_json::Value =
        serde_json::from_slice(&daos_server("config schema").stdout).expect("JSON");
    assert!(schema["properties"]["engines"].is_object());
}

#[test]
fn r173_the_commands_of_the_quickstart_are_understood() {
    let workspace =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace");
    let quickstart = std::fs::read_to_string(workspace.join("docs/quickstart.md")).expect("read");
    let blocks = quickstart.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut understood = 0;
    for line in blocks.flat_map(str::lines) {
        let words: Vec<&str> = line.split_whitespace().take_while(|word| *word != "#").collect();
        match words[..] {
            ["cargo", "run", "-p", "daos-examples", "--bin", name, ..] => {
                let sources = workspace.join("examples/src/bin");
                let there =
                    [sources.join(name).join("main.rs"), sources.join(format!("{name}.rs"))];
                assert!(there.iter().any(|path| path.is_file()), "{line}");
            }
            [program @ ("daos_server" | "dmg"), ref arguments @ ..] => {
                for file in arguments.iter().filter(|word| word.ends_with(".yml")) {
                    assert!(workspace.join(file).is_file(), "{line}");
                }
                let told = run(program, &[arguments, &["--help"]].concat());
                assert!(told.status.success(), "{line}: {}", text(&told.stderr));
                understood += 1;
            }
            _ => continue,
        }
    }
    assert!(understood >= 10, "only {understood} commands were found");
}

/// A program that asks for data gets one object, also when there is nothing but an error to tell.
#[test]
fn every_answer_and_every_error_is_data_when_data_is_asked_for() {
    let object = |line: &str| {
        let told = daos_server(line);
        let value: serde_json::Value = serde_json::from_slice(&told.stdout)
            .unwrap_or_else(|error| panic!("{line}: {error}: {}", text(&told.stdout)));
        (told.status.success(), value)
    };
    let (well, providers) = object("-j network list");
    assert!(
        well && providers["providers"].as_array().is_some_and(|all| all.len() > 2),
        "{providers}"
    );
    for line in [
        "-j config check /nonexist.yml",
        "-j config generate --ms-replicas a,b",
        "-j preflight -o /nonexist.yml",
        "-j network scan -o /nonexist.yml",
    ] {
        let (well, told) = object(line);
        assert!(!well && told["error"].is_string() && told["code"].is_i64(), "{line}: {told}");
    }
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("daos_server.yml");
    std::fs::write(&file, "provider: ofi+tcp\nport: 0\nnr_hugepages: -1\nengines: []\n")
        .expect("written");
    let (well, told) = object(&format!("-j config check {}", file.display()));
    assert!(!well && told["errors"].as_array().is_some_and(|all| all.len() == 2), "{told}");
    std::fs::write(&file, "provider: ofi+tcp\nengines: []\n").expect("written");
    let (well, told) = object(&format!("-j config check {}", file.display()));
    assert!(well && told["answer"].is_string(), "{told}");
}
