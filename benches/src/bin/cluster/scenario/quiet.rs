//! Nothing is taken away. A system under load and no fault elects nobody.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::Stage;

const LOOK: Duration = Duration::from_millis(250);

/// Looks at the leader all the time.
pub async fn play(stage: &mut Stage<'_>) -> Result<()> {
    let first = stage.leader().await?;
    let term = stage.system.term(first).await?;
    let end = stage.end();
    let mut looks = 0;
    while Instant::now() < end {
        sleep(LOOK).await;
        let now = stage.leader().await?;
        ensure!(
            now == first,
            "{} leads instead of {}, and nothing had happened",
            stage.system.hosts[now].name(),
            stage.system.hosts[first].name()
        );
        looks += 1;
    }
    let after = stage.system.term(first).await?;
    ensure!(after == term, "term {term} became {after}: somebody stood for election");
    stage.figures.insert("term".to_owned(), json!(term));
    stage.figures.insert("looks".to_owned(), json!(looks));
    Ok(())
}
