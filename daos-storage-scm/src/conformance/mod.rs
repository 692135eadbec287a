//! What every [`ScmProvider`] must do, as tests that run against any of them (feature `testing`).
//!
//! Implement [`Fixture`] for your provider and call [`run`] in a test:
//!
//! ```no_run
//! # use daos_storage_scm::conformance::{self, Fixture};
//! # fn my_fixture() -> Option<Box<dyn Fixture>> { None }
//! # async fn test() {
//! conformance::run(|_check| my_fixture()).await.assert_passed();
//! # }
//! ```
//!
//! Each check gets a fixture of its own with a blank medium, and undoes nothing: the fixture cleans up when it is
//! dropped.

mod checks;
mod provision;

use std::any::Any;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::{ScmProvider, ScmTarget};

pub use checks::CHECKS;
pub use provision::{PROVISION_CHECKS, ProvisionFixture, run_provision};

/// One blank medium, and the means to play the world around it.
pub trait Fixture: Send + Sync {
    /// The provider under test.
    fn provider(&self) -> Arc<dyn ScmProvider>;

    /// A target on a blank medium that nobody else uses.
    fn target(&self) -> ScmTarget;

    /// Creates a file in the root of the formatted SCM, as an engine would.
    fn put_file(&self, name: &str);

    /// Names of the files in the root of the formatted SCM, in order, without `lost+found`.
    fn files(&self) -> Vec<String>;

    /// Whether what was formatted is still there after an unmount.
    fn survives_unmount(&self) -> bool;

    /// Puts somebody else's data onto the blank medium or its mount point.
    fn put_foreign(&self) -> Foreign;

    /// Lets something other than an engine use the blank medium or its mount point, until the guard is
    /// dropped; `None` when nothing can.
    fn use_medium(&self) -> Option<Box<dyn Any>>;

    /// Lets a process hold the mounted SCM until the guard is dropped; `None` when the form has no mount.
    fn hold_mount(&self) -> Option<Held>;
}

/// What may become of foreign data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// A reformat may destroy it, if the plan shows it.
    UntilReformat,
    /// No flag destroys it.
    Never,
}

/// A busy mount.
#[derive(Debug)]
pub struct Held {
    /// Process that holds it.
    pub pid: u32,
    /// Lets go when dropped.
    pub guard: Box<dyn Any>,
}

/// The future of a check: what is wrong, if anything.
pub type CheckFuture<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + 'a>>;

/// One rule.
#[derive(Clone, Copy)]
pub struct Check {
    /// The rule in a few words.
    pub name: &'static str,
    /// Tries it.
    pub run: fn(&dyn Fixture) -> CheckFuture<'_>,
}

impl Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Report {
    /// Checks that ran.
    pub ran: usize,
    /// Name of each check that failed, and why.
    pub failed: Vec<(&'static str, String)>,
    /// Whether there was no fixture, so that nothing ran.
    pub skipped: bool,
    /// How many checks there are.
    pub wanted: usize,
}

impl Report {
    /// Ends the test when a check failed.
    ///
    /// # Panics
    /// With all that failed.
    pub fn assert_passed(&self) {
        let lines: Vec<String> =
            self.failed.iter().map(|(name, why)| format!("{name}: {why}")).collect();
        assert!(lines.is_empty(), "of {} checks failed:\n{}", self.ran, lines.join("\n"));
        assert!(self.skipped || self.ran == self.wanted, "only {} checks ran", self.ran);
    }
}

/// Runs every check with a fresh fixture. `fixture` is given the check's name and answers `None` when this
/// machine cannot run the provider at all; it says so itself.
pub async fn run(fixture: impl Fn(&str) -> Option<Box<dyn Fixture>>) -> Report {
    let mut report = Report { wanted: CHECKS.len(), ..Report::default() };
    for check in CHECKS {
        let Some(fixture) = fixture(check.name) else {
            report.skipped = true;
            return report;
        };
        report.ran += 1;
        if let Err(why) = (check.run)(fixture.as_ref()).await {
            report.failed.push((check.name, why));
        }
    }
    report
}
