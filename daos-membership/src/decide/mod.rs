//! The rules, as pure functions from the system and a request to a decision or a refusal.
//!
//! Called by the service's writer, which proposes what they decide; also usable alone. No function here waits,
//! writes or looks at a clock. Work does not grow with the number of members, except where all are asked for.

pub mod damping;
pub mod exclude;
pub mod join;
pub mod liveness;
pub mod properties;
pub mod providers;
pub mod record;
pub mod replicas;
pub mod resolve;
pub mod states;
