//! What a running process uses, from `/proc`.

use std::fs;

use anyhow::{Context, Result};

const KIBI: f64 = 1024.0;

/// Resident memory of a process in MiB.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Now.
    pub now: f64,
    /// The most it ever was.
    pub peak: f64,
}

/// Resident memory, now and at its peak.
pub fn memory(pid: u32) -> Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let of = |name: &str| -> Result<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no VmRSS")?;
        let kib: f64 = line.split_whitespace().next().context("no number")?.parse()?;
        Ok(kib / KIBI)
    };
    Ok(Memory { now: of("VmRSS:")?, peak: of("VmHWM:")? })
}

/// Processor time of all threads that a process has or had, in seconds; exact to the kernel's tick.
pub fn processor_time(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    ticks(&stat)
        .map(|ticks| ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
        .with_context(|| format!("unreadable /proc/{pid}/stat"))
}

/// User and system time: fields 14 and 15. The name before them may hold blanks, but ends with the last bracket.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

/// Child processes, whichever thread made them.
pub fn children(pid: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let listed = fs::read_to_string(task?.path().join("children"))?;
        for child in listed.split_whitespace() {
            found.push(child.parse()?);
        }
    }
    Ok(found)
}

/// How busy this machine was in the last minute.
pub fn load() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').next().context("an empty load")?.parse()?)
}

#[cfg(test)]
mod tests {
    use super::{memory, processor_time, ticks};

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 1 2 3 4 50 60 7 8 20 0 3 0 9";
        assert_eq!(ticks(stat), Some(110));
        assert_eq!(ticks("7 (a"), None);
    }

    #[test]
    fn this_process_uses_something() {
        let own = std::process::id();
        let memory = memory(own).unwrap();
        assert!(memory.now > 0.0 && memory.peak >= memory.now);
        assert!(processor_time(own).unwrap() >= 0.0);
    }
}
