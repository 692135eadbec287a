//! Runs the programs on one host and shows what they print.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use daos_control::testing::HostRig;

/// Engines of the host.
pub const ENGINES: usize = 2;

/// The host, and the words around it.
pub struct Stage {
    rig: HostRig,
}

impl Stage {
    /// Makes the directories and configuration files.
    pub fn set(programs: &Path) -> Result<Self> {
        Ok(Self { rig: HostRig::new(programs, ENGINES)? })
    }

    /// Starts the server and waits until it takes requests and all engines wait for a format.
    pub async fn start_server(&mut self) -> Result<()> {
        println!("$ daos_server start -o {}", self.rig.file("daos_server.yml").display());
        self.rig.start_server(&[])?;
        self.rig.wait_for_log("listening on", 1).await?;
        self.rig.wait_for_log("waiting for storage format on server", ENGINES).await?;
        for line in self.rig.server_log() {
            if line.contains("listening on") || line.contains("waiting for storage format") {
                println!("    {line}");
            }
        }
        Ok(())
    }

    /// Runs dmg, shows the command and its output, and returns the output.
    pub async fn dmg(&self, arguments: &[&str]) -> Result<String> {
        let (output, ok) = self.shown(arguments).await?;
        ensure!(ok, "dmg {} failed", arguments.join(" "));
        Ok(output)
    }

    /// As `dmg`, for a command that must fail.
    pub async fn dmg_refused(&self, arguments: &[&str]) -> Result<()> {
        let (_, ok) = self.shown(arguments).await?;
        ensure!(!ok, "dmg {} was not refused", arguments.join(" "));
        Ok(())
    }

    /// Waits until all engines are ranks of the system.
    pub async fn wait_for_ranks(&self) -> Result<()> {
        Ok(self.rig.wait_for_joined(ENGINES).await?)
    }

    /// Ends the server in good order.
    pub async fn stop_server(&mut self) -> Result<()> {
        let (status, _) = self.rig.stop_server().await?;
        ensure!(status.success(), "daos_server ended with {status}");
        println!("    daos_server: exit status 0");
        Ok(())
    }

    /// Ends what runs and removes what was made.
    pub async fn clear(self) -> Result<()> {
        self.rig.clear().await.context("ending and removing")
    }

    /// The last lines of the server.
    pub fn server_log(&self) -> String {
        let lines = self.rig.server_log();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    async fn shown(&self, arguments: &[&str]) -> Result<(String, bool)> {
        println!("$ dmg {}", arguments.join(" "));
        let ran = self.rig.dmg(arguments).await?;
        for line in ran.stdout.lines().chain(ran.stderr.lines()) {
            println!("    {line}");
        }
        Ok((ran.stdout, ran.code == 0))
    }
}

/// Both answers of a verbose query name the same uuid for each rank.
pub fn same_ranks(first: &str, second: &str) -> Result<()> {
    let identities = |text: &str| -> Vec<String> {
        let columns = |line: &str| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        text.lines()
            .map(columns)
            .filter(|row| row.starts_with(|c: char| c.is_ascii_digit()))
            .collect()
    };
    let (before, after) = (identities(first), identities(second));
    ensure!(
        before.len() == ENGINES && before == after,
        "ranks changed: {before:?} became {after:?}"
    );
    println!("    the same ranks as before");
    Ok(())
}
