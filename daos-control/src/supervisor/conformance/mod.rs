//! What every body of [`Supervisor`] must do, as checks that run (feature `testing`).
//!
//! Implement [`Bed`] for a body and call [`run`] in a test. Engines are those of `stand_in`: each check says by a
//! [`Script`] how its engines misbehave. A check panics where a body falls short. Must not know any body.

mod checks;
mod session;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::{CallLimits, EngineLaunch, Supervisor};
use crate::stand_in::Script;

pub use checks::CHECKS;

/// A place where engines of one body can be run.
pub trait Bed: Send + Sync {
    /// A new supervisor of that many engines, with nothing left of an earlier one.
    fn supervisor(&self, engines: u32, calls: CallLimits) -> Arc<dyn Supervisor>;

    /// How an engine that follows the script is started. Its limits are the defaults.
    fn launch(&self, index: u32, script: &Script) -> EngineLaunch;

    /// What a supervisor left behind after its shutdown: processes, sockets. Empty for a good one.
    fn leftovers(&self) -> Vec<String>;
}

/// A check under way.
pub type CheckFuture<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// One rule.
#[derive(Clone, Copy)]
pub struct Check {
    /// The rule in words.
    pub name: &'static str,
    /// Panics if the body breaks it.
    pub run: fn(&dyn Bed) -> CheckFuture<'_>,
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Runs every check, one after another, and returns how many there were.
///
/// # Panics
/// When the body breaks a rule or leaves something behind; the last line printed names the rule.
pub async fn run(bed: &dyn Bed) -> usize {
    for check in CHECKS {
        println!("supervisor: {}", check.name);
        (check.run)(bed).await;
        assert_eq!(bed.leftovers(), Vec::<String>::new(), "left behind after: {}", check.name);
    }
    CHECKS.len()
}
