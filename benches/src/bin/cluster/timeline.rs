//! What happened when: told as it happens on standard error, kept for the report of a failure.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Instant;

use daos_benches::history::Moment;

/// The one clock of a run, and what was done at which of its moments.
#[derive(Debug)]
pub struct Timeline {
    began: Instant,
    lines: Mutex<Vec<String>>,
}

impl Timeline {
    /// Starts the clock.
    pub fn begin() -> Self {
        Self { began: Instant::now(), lines: Mutex::new(Vec::new()) }
    }

    /// Now.
    pub fn now(&self) -> Moment {
        Moment(u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// Notes what happens now.
    pub fn note(&self, what: impl Into<String>) {
        let line = format!("{:>8.3}  {}", self.began.elapsed().as_secs_f64(), what.into());
        eprintln!("{line}");
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// Everything noted.
    pub fn so_far(&self) -> String {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }
}
