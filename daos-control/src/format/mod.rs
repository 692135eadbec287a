//! The format of one host's storage: observe, plan, execute, report (R3, R5, R6, R116-R132, R144-R151).

mod journal;

pub use journal::{Journal, JournalError, Mark, MarkKind, MarkState, MarkTarget};
