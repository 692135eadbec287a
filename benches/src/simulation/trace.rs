//! What happened in a run, as one number that two equal runs share, and as text for people who look for the cause.

use std::fmt;
use std::hash::{DefaultHasher, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The trace of one run.
#[derive(Debug)]
pub struct Trace {
    shown: bool,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Not randomly keyed: equal for equal input in every process.
    hasher: DefaultHasher,
    lines: u64,
}

impl Trace {
    /// An empty trace; `shown` prints every line as it comes.
    #[must_use]
    pub fn new(shown: bool) -> Self {
        Self { shown, inner: Mutex::new(Inner { hasher: DefaultHasher::new(), lines: 0 }) }
    }

    /// Something happened.
    pub fn note(&self, at: Duration, what: fmt::Arguments<'_>) {
        let line = format!("{:>10.3} {what}", at.as_secs_f64() * 1e3);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.hasher.write(line.as_bytes());
        inner.lines += 1;
        drop(inner);
        if self.shown {
            println!("{line}");
        }
    }

    /// The number that stands for everything so far, and how many lines that were.
    #[must_use]
    pub fn sum(&self) -> (u64, u64) {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        (inner.hasher.finish(), inner.lines)
    }
}
