//! What both kinds of stand-in engine share: the rules of a data plane without data (`engine`) and the script of its
//! misbehaviour (`script`).
//!
//! Used by the program `daos_io_server`, which adds files and sockets, and by `supervisor::SimSupervisor`, which adds
//! nothing. Knows neither processes nor sockets.

mod engine;
mod script;

pub use engine::{Answered, Effect, Engine, StandInDevice};
pub use script::{Answer, HELP, Script, ScriptError, VARIABLE};
