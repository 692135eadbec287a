//! What the leader's engine holds, as its own log says: the stand-in notes every group map once it has taken it over.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::time::{MissedTickBehavior, interval};

const NOTE: &str = "holds group map version ";
/// How often the log is read: what a measured time may be late.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// The log of an engine, from a moment on.
#[derive(Debug)]
pub struct EngineLog {
    path: PathBuf,
    from: u64,
}

impl EngineLog {
    /// The part of the log that is yet to be written.
    pub fn from_now(path: PathBuf) -> Result<Self> {
        let from = std::fs::metadata(&path).map_or(0, |found| found.len());
        Ok(Self { path, from })
    }

    /// Waits until the engine holds a map of at least so many ranks, and says when that was.
    pub async fn holds(mut self, ranks: usize, bound: Duration) -> Result<Instant> {
        let began = Instant::now();
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut held = 0;
        let mut rest = String::new();
        while began.elapsed() < bound {
            look.tick().await;
            self.read_on(&mut rest)?;
            held = held.max(most_ranks(&rest));
            if held >= ranks {
                return Ok(Instant::now());
            }
            rest = rest.rsplit_once('\n').map_or(rest.clone(), |(_, begun)| begun.to_owned());
        }
        bail!("the engine holds a group map of {held} ranks, not of {ranks}, after {bound:?}")
    }

    fn read_on(&mut self, into: &mut String) -> Result<()> {
        let Ok(mut log) = File::open(&self.path) else { return Ok(()) };
        log.seek(SeekFrom::Start(self.from))?;
        let mut bytes = Vec::new();
        self.from += log.read_to_end(&mut bytes)? as u64;
        into.push_str(&String::from_utf8_lossy(&bytes));
        Ok(())
    }
}

/// The largest map named in whole lines.
fn most_ranks(text: &str) -> usize {
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let maps = whole.lines().filter_map(|line| {
        let (_, note) = line.split_once(NOTE)?;
        let (_, ranks) = note.split_once(" of ")?;
        ranks.split(' ').next()?.parse().ok()
    });
    maps.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::most_ranks;

    #[test]
    fn whole_lines_count() {
        let log = "x INFO holds group map version 3 of 1 ranks\nx INFO call method=x\n\
                   x INFO holds group map version 9 of 2049 ranks\nx INFO holds group map version 10 of 20";
        assert_eq!(most_ranks(log), 2049);
        assert_eq!(most_ranks(""), 0);
    }
}
