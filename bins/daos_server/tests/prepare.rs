//! Storage prepared by command and from afar, by real programs. Nothing here may touch a controller or a huge page of this machine:
//! every list is `none`, and the data plane is the stand-in.

mod rig;

use std::os::unix::process::CommandExt;
use std::process::Command;

use daos_control::testing::{HostRig, Mode};
use rig::{Result, ensure_code, host_in, plain_host_in};

const NOBODY: u32 = 65534;
const NONE: [&str; 6] = ["storage", "prepare", "-n", "-w", "none", "-p"];

fn hugepages() -> String {
    let listing = std::fs::read_to_string("/proc/meminfo").expect("meminfo");
    listing.lines().find(|line| line.starts_with("HugePages_Total")).unwrap_or_default().to_owned()
}

async fn started(mut host: HostRig) -> Result<HostRig> {
    host.start_server(&[])?;
    host.wait_for_log("waiting for storage format on server 0", 1).await?;
    Ok(host)
}

async fn answers(mode: Mode) -> Result<()> {
    let host = started(host_in(mode, 1)?).await?;
    let before = hugepages();
    let arguments = [&NONE[..], &["512"]].concat();
    let ran = host.dmg(&arguments).await?;
    if !rustix::process::geteuid().is_root() {
        return refused(&ran);
    }
    ensure_code(&ran, 0)?;
    assert!(ran.stdout.contains("No NVMe controller"), "{ran:#?}");
    assert!(ran.stdout.contains("huge pages are left as they are"), "{ran:#?}");
    let ran = host.dmg(&["-j", "storage", "prepare", "--reset", "-w", "none"]).await?;
    ensure_code(&ran, 0)?;
    let answer: serde_json::Value =
        serde_json::from_str(&ran.stdout).map_err(std::io::Error::other)?;
    let hosts = answer["response"]["HostPrepared"].as_object().expect("hosts").clone();
    assert_eq!(
        hosts.values().next().expect("a host")["prepared"]["controllers"],
        serde_json::json!([])
    );
    assert_eq!(hugepages(), before);
    host.clear().await
}

fn refused(ran: &daos_control::testing::Ran) -> Result<()> {
    ensure_code(ran, 1)?;
    assert!(ran.stderr.contains("runs as a plain user"), "{ran:#?}");
    assert!(
        ran.stderr.contains("code = 1450") && ran.stderr.contains("sudo daos_server"),
        "{ran:#?}"
    );
    Ok(())
}

#[tokio::test]
async fn r72_a_host_without_nvme_answers_in_insecure_mode() -> Result<()> {
    answers(Mode::Insecure).await
}

#[tokio::test]
async fn r72_a_host_without_nvme_answers_with_certificates() -> Result<()> {
    answers(Mode::Certificates).await
}

#[tokio::test]
async fn r73_the_server_of_a_plain_user_says_that_it_may_not() -> Result<()> {
    for mode in [Mode::Insecure, Mode::Certificates] {
        let host = started(plain_host_in(mode, 1)?).await?;
        refused(&host.dmg(&[&NONE[..], &["512"]].concat()).await?)?;
        host.clear().await?;
    }
    Ok(())
}

/// R73, R86: without the rights nothing is done, and the error comes under one heading with exit status 1.
#[test]
fn r73_r86_a_plain_user_is_refused_under_one_heading() {
    let home = tempfile::tempdir().expect("a home");
    let mut command = Command::new(env!("CARGO_BIN_EXE_daos_server"));
    command.args(NONE).arg("99999999").env("HOME", home.path()).env_remove("XDG_STATE_HOME");
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(home.path(), Some(NOBODY), Some(NOBODY)).expect("its home");
        command.uid(NOBODY).gid(NOBODY);
    }
    let before = hugepages();
    let ran = command.output().expect("it runs");
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(1), "{told}");
    assert!(told.contains("scan error(s):\n  "), "{told}");
    assert!(
        String::from_utf8_lossy(&ran.stdout)
            .starts_with("Preparing locally-attached NVMe storage...\n")
    );
    assert_eq!(hugepages(), before);
}

/// R85, R87: the alias, and two options that exclude each other, before anything is done.
#[test]
fn r85_r87_the_parts_exclude_each_other() {
    for name in ["prepare", "p"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_daos_server"));
        let ran = command.args(["storage", name, "-n", "-s"]).output().expect("it runs");
        let told = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(1), "{told}");
        assert!(told.contains("cannot be used with") && ran.stdout.is_empty(), "{told}");
    }
}

/// The line that the documents show for `visudo`.
fn sudoers_line() -> String {
    let page =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/devices/prepare.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let block = page.split("```sudoers\n").nth(1).and_then(|rest| rest.split("```").next());
    block.expect("a sudoers block").trim().to_owned()
}

/// R82, R175: the pattern of the documents matches the command for NVMe, and nothing else of the program that does anything.
#[test]
fn r82_r175_the_sudoers_line_allows_this_command_and_no_other() {
    let line = sudoers_line();
    let (_, command) = line.split_once(": ").expect("a command");
    let (program, pattern) = command.split_once(' ').expect("arguments");
    assert!(program.starts_with('/') && program.ends_with("/daos_server"), "{line}");
    // sudo matches the arguments, joined by blanks, as a whole; a star stands for anything.
    let fixed = pattern.strip_suffix('*').expect("one star, at the end");
    assert!(!fixed.contains(['*', '?', '[', '\\']), "{pattern}");
    let allows = |arguments: &str| arguments.starts_with(fixed);
    for yes in [
        "storage prepare --nvme-only",
        "storage prepare --nvme-only -w 0000:81:00.0 -p 4096 -u bob",
        "storage prepare --nvme-only --reset",
    ] {
        assert!(allows(yes), "{yes}");
    }
    for no in [
        "storage prepare",
        "storage prepare --scm-only",
        "storage prepare -f --nvme-only",
        "storage scan",
        "start -o /tmp/own.yml",
        "-o /tmp/own.yml storage prepare --nvme-only",
        "nvme prepare",
    ] {
        assert!(!allows(no), "{no}");
    }
    // What else it would match is no command.
    for words in [&["--nvme-only", "--scm-only"][..], &["--nvme-onlyx"], &["--nvme-only", "start"]]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_daos_server"));
        let ran = command.args(["storage", "prepare"]).args(words).output().expect("it runs");
        assert_eq!((ran.status.code(), ran.stdout.len()), (Some(1), 0), "{words:?}");
    }
}

/// sudo itself can read it.
#[test]
fn r175_visudo_takes_the_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("sudoers");
    std::fs::write(&file, format!("{}\n", sudoers_line())).expect("a file");
    match Command::new("visudo").arg("-cf").arg(&file).output() {
        Ok(ran) => assert!(ran.status.success(), "{ran:?}"),
        Err(_) => println!("skipped: no visudo"),
    }
}

/// Record and lock are where the server of that configuration has them, by whichever name the command goes.
#[test]
fn local_commands_use_the_state_dir_of_the_configuration() {
    let directory = tempfile::tempdir().expect("a directory");
    let state = directory.path().join("state");
    let file = directory.path().join("server.yml");
    let text = format!("state_dir: {}\nengines: []\n", state.display());
    std::fs::write(&file, text).expect("written");
    let file = file.display().to_string();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_daos_server"));
        let ran = command.args(["-o", &file]).args(arguments).output().expect("it runs");
        (
            String::from_utf8_lossy(&ran.stdout).into_owned(),
            String::from_utf8_lossy(&ran.stderr).into_owned(),
        )
    };
    let record = state.join("nvme_prepared.json");
    for reset in
        [&["nvme", "reset", "none"][..], &["storage", "prepare", "-n", "--reset", "-w", "none"]]
    {
        let (told, wrong) = run(reset);
        assert!(told.contains(&format!("record: {}", record.display())), "{told}{wrong}");
        assert!(state.join("nvme_prepared.lock").exists());
        std::fs::remove_dir_all(&state).expect("made by the command");
    }
    let (json, _) = run(&["-j", "nvme", "reset", "none"]);
    let data: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(data["record"], record.display().to_string());
    // Who looks, looks there: a record that nobody understands is told.
    std::fs::write(&record, "{}").expect("written");
    for look in [&["storage", "scan"][..], &["nvme", "scan"]] {
        let (_, wrong) = run(look);
        assert!(wrong.contains(&record.display().to_string()), "{wrong}");
    }
    let (told, _) = run(&["preflight"]);
    assert!(!told.contains("cannot be looked at"), "{told}");
    let mut missing = Command::new(env!("CARGO_BIN_EXE_daos_server"));
    let ran = missing
        .args(["-o", "/nonexistent.yml", "nvme", "reset", "none"])
        .output()
        .expect("it runs");
    assert_eq!(ran.status.code(), Some(1));
}
