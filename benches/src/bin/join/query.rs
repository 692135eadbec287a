//! One `dmg -j system query` as a whole process.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

/// Milliseconds of each of `count` queries; their result is read and dropped.
pub async fn times(dmg: &Path, config: &Path, count: u16) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    for _ in 0..count {
        let mut command = command(dmg, config);
        let began = Instant::now();
        let ended = command.stdout(Stdio::null()).stderr(Stdio::null()).status().await?;
        times.push(began.elapsed().as_secs_f64() * 1000.0);
        ensure!(ended.success(), "dmg system query ended with {ended}");
    }
    Ok(times)
}

/// How many joined members a query shows.
pub async fn joined(dmg: &Path, config: &Path) -> Result<usize> {
    let asked = command(dmg, config).stdout(Stdio::piped()).output().await?;
    let answer: Value = serde_json::from_slice(&asked.stdout).with_context(|| {
        format!(
            "dmg system query ended with {}: {}",
            asked.status,
            String::from_utf8_lossy(&asked.stderr)
        )
    })?;
    let members = answer.pointer("/response/members").and_then(Value::as_array);
    let joined = members.into_iter().flatten().filter(|member| member["state"] == "joined");
    Ok(joined.count())
}

fn command(dmg: &Path, config: &Path) -> Command {
    let mut command = Command::new(dmg);
    command.arg("-o").arg(config).args(["-j", "system", "query"]);
    command.stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}
