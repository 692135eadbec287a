//! A host that is no replica is lost with its engines. Nobody tells the system: the other engines must notice.

use std::time::Duration;

use anyhow::{Result, ensure};
use daos_control::client::MemberState;
use serde_json::json;
use tokio::time::Instant;

use super::Stage;
use crate::cluster::HOSTS;
use crate::host::ENGINES;

/// How long a death may go unnoticed.
const NOTICED: Duration = Duration::from_secs(60);

/// kill -9 of the last host's server takes its engines with it.
pub async fn play(stage: &mut Stage<'_>) -> Result<()> {
    let host = HOSTS - 1;
    let status = stage.system.leaders_view().await?;
    let ranks = stage.system.ranks_of(host, &status);
    ensure!(ranks.len() == ENGINES, "ranks {ranks:?} at {}", stage.system.hosts[host].name());
    stage.note(format!("{} with ranks {ranks:?} is lost", stage.system.hosts[host].name()));
    stage.system.hosts[host].kill().await?;
    let lost = Instant::now();
    let limit = NOTICED;
    stage
        .system
        .until("the deaths to be seen", limit, async |system| {
            let status = system.leaders_view().await?;
            let alive = status.members.iter().filter(|member| {
                ranks.contains(&member.rank) && member.state == MemberState::Joined
            });
            let alive: Vec<_> = alive.map(|member| member.rank).collect();
            Ok(if alive.is_empty() {
                Ok(())
            } else {
                Err(format!("ranks {alive:?} are still joined"))
            })
        })
        .await?;
    let took = lost.elapsed();
    stage.note(format!("seen to be dead after {} ms", took.as_millis()));
    stage.figures.insert("deaths_seen_ms".to_owned(), json!(took.as_millis() as u64));
    stage.system.mend().await?;
    stage.system.healthy().await?;
    Ok(())
}
