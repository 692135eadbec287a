//! R7: the same command starts a server on each host under a parallel launcher. Here under Open MPI, with both hosts on this
//! machine, each with a port and a socket directory of its own.

mod rig;

use std::process::Stdio;
use std::time::Duration;

use daos_control::testing::HostRig;
use rig::{Result, ensure_code, host, members, share_certificates};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);

/// The launcher, found by running it.
async fn has_launcher() -> bool {
    let version = Command::new("orterun").arg("--version").stdin(Stdio::null()).output().await;
    let found = version.is_ok_and(|ran| ran.status.success());
    if !found {
        println!("skipped: needs orterun (package openmpi-bin)");
    }
    found
}

/// Ends the launcher as an administrator does; what it launched gets the signal from it.
async fn end(mut launcher: Child) -> Result<std::process::Output> {
    let pid = launcher.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
    kill_process(pid.ok_or_else(|| std::io::Error::other("it has ended"))?, Signal::TERM)?;
    match timeout(PATIENCE, launcher.wait()).await {
        Ok(ended) => ended?,
        Err(_) => {
            launcher.kill().await?;
            return Err(std::io::Error::other("the launcher did not end"));
        }
    };
    launcher.wait_with_output().await
}

#[tokio::test]
async fn r7_open_mpi_launches_two_servers_that_form_one_system() -> Result<()> {
    if !has_launcher().await {
        return Ok(());
    }
    let (first, second) = (host(1)?, host(1)?);
    share_certificates(&first, &second)?;
    let address = |port: u16| format!("127.0.0.1:{port}");
    let (replica, other) = (address(first.ports()[0]), address(second.ports()[0]));
    for host in [&first, &second] {
        let config = host.default_config().replace(&other, &replica);
        let log = host.file("server.log");
        host.write_config(&format!("{config}control_log_file: {}\n", log.display()))?;
    }
    let log_of = |host: &HostRig| std::fs::read_to_string(host.file("server.log"));
    let told = |text: &str| -> Result<bool> {
        Ok(log_of(&first)?.contains(text) && log_of(&second)?.contains(text))
    };

    let errors = first.file("launcher.err");
    let program = env!("CARGO_BIN_EXE_daos_server");
    let mut command = Command::new("orterun");
    // One machine stands for both hosts here: no remote shell, and as many processes as are asked for.
    command.args(["--allow-run-as-root", "--oversubscribe", "--mca", "plm", "isolated"]);
    // It waits so many seconds between SIGTERM and SIGKILL, always the whole time; one second is too short for a server.
    command.args(["--mca", "odls_base_sigkill_timeout", "5"]);
    command.args(["-np", "1", program, "start", "-o"]).arg(first.file("daos_server.yml"));
    command.args([":", "-np", "1", program, "start", "-o"]).arg(second.file("daos_server.yml"));
    command.stdin(Stdio::null()).kill_on_drop(true).process_group(0);
    command.stdout(Stdio::null()).stderr(std::fs::File::create(&errors)?);
    let launcher = command.spawn()?;

    let both = format!("{replica},{other}");
    let scanned = first
        .wait_until("two servers that wait for a format", || async {
            Ok(told("waiting for storage format").unwrap_or(false))
        })
        .await;
    if let Err(silent) = scanned {
        let told = std::fs::read_to_string(&errors)?;
        return Err(std::io::Error::other(format!("{silent}\n{told}")));
    }
    ensure_code(&first.dmg(&["-l", &both, "storage", "format"]).await?, 0)?;
    first
        .wait_until("two joined ranks", || async {
            // Before the service is there the query fails.
            let found = members(&first).await.unwrap_or_default();
            Ok(found.len() == 2 && found.iter().all(|member| member.state == "joined"))
        })
        .await?;
    // Joined comes a moment before the engine is told to serve.
    first.wait_until("two running engines", || async { told(" is running") }).await?;

    end(launcher).await?;
    // The launcher does not wait for what it ended.
    let ended = first.wait_until("two ended servers", || async { told("the server has ended") });
    if let Err(late) = ended.await {
        return Err(std::io::Error::other(format!(
            "{late}\n{}\n{}",
            log_of(&first)?,
            log_of(&second)?
        )));
    }
    for host in [&first, &second] {
        let left = std::fs::read_dir(host.file("sockets"))?.count();
        assert_eq!(left, 0, "sockets of {}", host.ports()[0]);
    }
    first.clear().await.and(second.clear().await)
}
