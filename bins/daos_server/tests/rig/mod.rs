//! What the end-to-end tests share.
#![allow(dead_code, reason = "each test program uses its part")]

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use daos_control::testing::{HostRig, Mode, Ran, programs_beside};

pub type Result<T> = std::io::Result<T>;

/// A member as `dmg --json system query` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub rank: u32,
    pub uuid: String,
    pub state: String,
}

pub fn host(engines: usize) -> Result<HostRig> {
    host_in(Mode::of_tests(), engines)
}

/// In a mode of its own, whatever the others run in.
pub fn host_in(mode: Mode, engines: usize) -> Result<HostRig> {
    HostRig::in_mode(mode, &programs_beside(Path::new(env!("CARGO_BIN_EXE_daos_server")))?, engines)
}

pub fn plain_host(engines: usize) -> Result<HostRig> {
    plain_host_in(Mode::of_tests(), engines)
}

pub fn plain_host_in(mode: Mode, engines: usize) -> Result<HostRig> {
    HostRig::for_plain_user(
        mode,
        &programs_beside(Path::new(env!("CARGO_BIN_EXE_daos_server")))?,
        engines,
    )
}

/// One authority for all: the certificates of the first host in place of those made for the other.
pub fn share_certificates(from: &HostRig, to: &HostRig) -> Result<()> {
    for entry in std::fs::read_dir(from.file("certs")).into_iter().flatten() {
        let (entry, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        if entry.is_file() {
            let target = to.file("certs").join(name);
            std::fs::remove_file(&target)?;
            std::fs::copy(&entry, &target)?;
            let owner = std::fs::metadata(&entry)?;
            std::os::unix::fs::chown(&target, Some(owner.uid()), Some(owner.gid()))?;
        }
    }
    Ok(())
}

/// A host that was started, formatted, and whose engines have joined.
pub async fn formatted(host: &mut HostRig, engines: usize) -> Result<()> {
    host.start_server(&[])?;
    host.wait_for_log("waiting for storage format on server", engines).await?;
    ensure_code(&host.dmg(&["storage", "format"]).await?, 0)?;
    host.wait_for_joined(engines).await?;
    // A member is joined before its engine has noted the rank and serves.
    host.wait_for_log(" is running", engines).await
}

/// The tiers of engine 0 in place of the usual ones.
pub fn with_tiers(host: &HostRig, tiers: &str) -> Result<()> {
    let config = host.default_config();
    let (head, _) = config
        .split_once("  storage:\n")
        .ok_or_else(|| std::io::Error::other("the configuration has no storage"))?;
    host.write_config(&format!("{head}  storage:\n{tiers}"))
}

/// Whether this process may mount, found out by mounting; says so when not.
pub fn skip_without_mount_right() -> bool {
    use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
    let scratch = tempfile::tempdir().expect("a scratch directory");
    match mount("tmpfs", scratch.path(), "tmpfs", MountFlags::empty(), None) {
        Ok(()) => {
            unmount(scratch.path(), UnmountFlags::empty())
                .expect("what was mounted can be unmounted");
            false
        }
        Err(_) => {
            println!("skipped: needs root");
            true
        }
    }
}

/// Some sandboxes let everybody mount; a plain user there is not the plain user of the start table.
pub fn may_mount_as_plain_user() -> bool {
    !rustix::process::geteuid().is_root() && !skip_without_mount_right()
}

pub fn ensure_code(ran: &Ran, code: i32) -> Result<()> {
    if ran.code == code {
        return Ok(());
    }
    Err(std::io::Error::other(format!("expected exit status {code}: {ran:#?}")))
}

pub async fn members(host: &HostRig) -> Result<Vec<Member>> {
    let ran = host.dmg(&["--json", "system", "query"]).await?;
    ensure_code(&ran, 0)?;
    let answer: serde_json::Value =
        serde_json::from_str(&ran.stdout).map_err(std::io::Error::other)?;
    let listed = answer["response"]["members"].as_array().cloned().unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let mut members: Vec<_> = listed
        .iter()
        .map(|member| Member {
            rank: member["rank"]
                .as_u64()
                .and_then(|rank| u32::try_from(rank).ok())
                .unwrap_or(u32::MAX),
            uuid: text(&member["uuid"]),
            state: text(&member["state"]),
        })
        .collect();
    members.sort_by_key(|member| member.rank);
    Ok(members)
}

/// Process ids of the server's engines.
pub fn engine_pids(host: &HostRig) -> Result<Vec<u32>> {
    let server = host.server_pid().ok_or_else(|| std::io::Error::other("no server runs"))?;
    let mut found = Vec::new();
    for thread in std::fs::read_dir(format!("/proc/{server}/task"))?.flatten() {
        let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        let pids = children.split_whitespace().filter_map(|pid| pid.parse().ok());
        found.extend(pids.filter(|pid| runs(*pid, "daos_io_server")));
    }
    found.sort_unstable();
    Ok(found)
}

/// Whether a process of this name exists and is no zombie.
pub fn runs(pid: u32, name: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    // The kernel keeps 15 characters of a name.
    let kept = &name[..name.len().min(15)];
    status.lines().next().is_some_and(|line| line.ends_with(kept)) && !status.contains("State:\tZ")
}

pub fn kill(pid: u32) -> Result<()> {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed());
    let pid = pid.ok_or_else(|| std::io::Error::other("no such process"))?;
    Ok(rustix::process::kill_process(pid, rustix::process::Signal::KILL)?)
}
