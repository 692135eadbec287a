//! What a server does with each engine's storage when it starts: rows D1-D6 and C1-C12 of the start table.
//!
//! [`decide_start`] is pure: facts in, decision out. The engine task gathers the facts (`format::observe`
//! offers that), acts on the decision and asks again after a mount. Nothing here touches storage.

mod decide;
mod decision;
mod facts;
#[cfg(test)]
mod table_test;

pub use decide::decide_start;
pub use decision::{Mountable, StartDecision, WaitReason, waiting_line};
pub use facts::{Contents, ReplicaRoles, ScmAtStart, StartFacts};
