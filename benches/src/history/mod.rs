//! Histories of what clients asked of a replicated service, and whether a service that loses nothing could have answered so.
//!
//! Pure: recorded operations in, a verdict with its evidence out. Used by the program `cluster`; knows no network and no
//! clock. [`register`] judges single values, [`members`] judges ranks and the versions of what replicas know.
//!
//! ```
//! use daos_benches::history::{Moment, register::{Action, Operation, check}};
//!
//! let write = Operation::acknowledged(Action::Write(7), Moment(10), Moment(20));
//! let stale = Operation::acknowledged(Action::Read(None), Moment(30), Moment(40));
//! assert!(check(None, &[write.clone()]).is_ok());
//! assert!(check(None, &[write, stale]).is_err());
//! ```

pub mod members;
pub mod register;

/// A moment of one monotonic clock, in microseconds since the start of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(
    /// Microseconds since the start of the run.
    pub u64,
);

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}
