//! From "the engine is ready" to "its superblock has its rank" (contract 3.5 steps 2-4, 6.4, R157-R162).
//!
//! `request` says what is asked, `send` asks the management service, `settle` writes down the answer. Called by the
//! engine task through `server::deeds`. Must not know how the service decides.

mod request;
mod send;
mod settle;

pub use request::{Host, JoinAnswer, JoinAsk, ask_for};
pub use send::Joiner;
pub use settle::{record_incarnation, settle};
