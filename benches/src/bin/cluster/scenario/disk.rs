//! The file system that holds one replica's database is filled to the last byte. The others go on; with room again and a fresh
//! start of its server, the replica catches up.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::Stage;
use crate::clients::Clients;

const GOES_ON: Duration = Duration::from_secs(15);
/// Bytes of one value that makes databases grow.
const LONG: usize = 64 << 10;
const BETWEEN_GROWTH: Duration = Duration::from_millis(20);
const MOST_GROWTH: usize = 600;
/// File that takes up the room.
const FILLER: &str = "filler";

/// Fills the disk, lets the load go on for a while, and makes room.
pub async fn play(stage: &mut Stage<'_>) -> Result<()> {
    let victim = stage.system.replicas - 1;
    let directory = stage.system.hosts[victim].file("metadata");
    let leader = stage.leader().await?;
    let filled = fill(&directory.join(FILLER))?;
    let role = if leader == victim { "leads" } else { "follows" };
    stage.note(format!(
        "the disk of {}, which {role}, is full: {} KiB more",
        stage.system.hosts[victim].name(),
        filled >> 10
    ));
    // The database has pages of its own to spare, and takes what fits into them: only what makes it grow shows that the disk is full.
    let growth = Growth(tokio::spawn(grow(stage.system.clients.clone(), stage.system.replicas)));
    let written = others_write(stage, victim).await;
    let said = stage.system.hosts[victim].wait_for_log("No space left", 1, GOES_ON).await;
    drop(growth);
    sleep(Duration::from_secs(stage.seconds)).await;
    let went_on = others_write(stage, victim).await;
    fs::remove_file(directory.join(FILLER))?;
    stage.note("there is room again; the server is started anew");
    stage.system.hosts[victim].kill().await?;
    stage.system.start(victim)?;
    said?;
    let (first, later) = (written?, went_on?);
    stage.figures.insert("full_disk_to_write_ms".to_owned(), json!(first.as_millis() as u64));
    stage.figures.insert("still_written_ms".to_owned(), json!(later.as_millis() as u64));
    Ok(())
}

/// How long it takes until one of the other replicas accepts a write. A replica that is alone has none.
async fn others_write(stage: &mut Stage<'_>, victim: usize) -> Result<Duration> {
    if stage.system.replicas == 1 {
        return Ok(Duration::ZERO);
    }
    let others: Vec<_> = (0..victim).collect();
    stage.first_write(&others, GOES_ON).await
}

/// The task that makes databases grow; it ends with this value.
struct Growth(JoinHandle<()>);

impl Drop for Growth {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sets a few attributes to long values again and again, asking each replica in turn. The log keeps every value until a
/// snapshot replaces it.
async fn grow(clients: Clients, replicas: usize) {
    for turn in 0..MOST_GROWTH {
        // Whatever becomes of it: nobody reads these keys.
        let _ended = clients
            .write_text(turn % replicas, &format!("growth.{}", turn % 4), &"x".repeat(LONG))
            .await;
        sleep(BETWEEN_GROWTH).await;
    }
}

/// Writes until nothing more fits. How much did.
fn fill(path: &Path) -> Result<u64> {
    let mut file = File::create(path)?;
    let mut written = 0_u64;
    for size in [1 << 16, 1 << 12, 1] {
        let block = vec![0xA5_u8; size];
        loop {
            match file.write(&block) {
                Ok(0) => break,
                Ok(count) => written += count as u64,
                Err(error)
                    if error.raw_os_error() == Some(rustix::io::Errno::NOSPC.raw_os_error()) =>
                {
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    file.sync_all()?;
    ensure!(written > 0, "the disk was full before");
    Ok(written)
}
