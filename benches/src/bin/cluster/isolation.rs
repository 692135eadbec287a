//! The namespaces a run lives in: made by `unshare`, gone with the last process in them.
//!
//! The program starts itself again inside, as the first process there. When that one ends, in whatever way, the kernel kills
//! the rest, and mounts and interfaces go with them. Only the run's directory is outside; it is removed here.

use std::fs;
use std::path::Path;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::mount::{MountFlags, mount};
use tokio::process::{Child, ChildStdin, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// Directories of runs in the directory for temporary files.
pub const PREFIX: &str = "daos_cluster_";
/// File in a run's directory that holds the process number of the program that removes it.
pub const OWNER: &str = "owner";
/// What an orderly end may take.
const END: Duration = Duration::from_secs(30);

/// Starts this program again with the arguments after `run`, in namespaces of its own, and waits for it.
pub async fn run(keep: bool) -> Result<ExitCode> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut hung_up = signal(SignalKind::hangup())?;
    let directory = tempfile::Builder::new().prefix(PREFIX).tempdir()?;
    fs::write(directory.path().join(OWNER), std::process::id().to_string())?;
    let mut inside = start(directory.path())?;
    // Waiting would close it.
    let alive = inside.stdin.take();
    let end = tokio::select! {
        status = inside.wait() => status?,
        _ = interrupted.recv() => ended(&mut inside, alive).await?,
        _ = terminated.recv() => ended(&mut inside, alive).await?,
        _ = hung_up.recv() => ended(&mut inside, alive).await?,
    };
    let failed = end.code() == Some(1) || end.code().is_none();
    if keep || failed {
        let kept = directory.keep();
        eprintln!("# all logs are in {}; 'cluster clean' removes it", kept.display());
    }
    Ok(ExitCode::from(end.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

fn start(directory: &Path) -> Result<Child> {
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    unshare.arg(std::env::current_exe()?).arg("inside").arg(directory);
    unshare.args(std::env::args_os().skip(2));
    // The open pipe says that this program lives. A Ctrl-C reaches this program alone.
    unshare.stdin(Stdio::piped()).process_group(0).kill_on_drop(true);
    unshare.spawn().context("cannot run unshare (package util-linux)")
}

/// Tells the program inside to end, and waits for it.
async fn ended(inside: &mut Child, alive: Option<ChildStdin>) -> Result<ExitStatus> {
    drop(alive);
    match tokio::time::timeout(END, inside.wait()).await {
        Ok(status) => Ok(status?),
        Err(_) => {
            inside.kill().await?;
            Ok(inside.wait().await?)
        }
    }
}

/// The first step inside: a `/run` of its own, for the names of namespaces and the locks of servers.
pub fn settle() -> Result<()> {
    if std::process::id() != 1 {
        bail!("'inside' is started by 'cluster run' in namespaces of its own, not by hand");
    }
    mount("tmpfs", "/run", "tmpfs", MountFlags::empty(), None)
        .context("cannot mount in the namespace; is this root?")?;
    for name in ["/run/netns", "/run/lock"] {
        fs::create_dir(name)?;
    }
    Ok(())
}

/// Completes when the program outside wants an end, or is gone.
pub fn told_to_end() -> oneshot::Receiver<()> {
    let (tell, told) = oneshot::channel();
    // Reading a pipe blocks, and nothing waits for this thread at the end.
    std::thread::spawn(move || {
        let _end_of_file = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _nobody_asks_any_more = tell.send(());
    });
    told
}
