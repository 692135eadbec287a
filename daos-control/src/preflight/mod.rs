//! Is this host ready for what is configured? Looked at before anything is touched, and again by every start.
//!
//! `observe` looks (thin), `check` decides (pure: facts and a configuration in, findings out), `report` is what people and
//! programs see. `start` is the part that the server refuses to start without; it asks the very same rules, so both say
//! the same words. Used by `daos_server preflight`, the gRPC edge and the start; `finding` and `report` by clients too.
//! Changes nothing, and must not know providers' bodies or the wire.

#[cfg(feature = "server")]
mod check;
#[cfg(feature = "server")]
mod device_names;
#[cfg(feature = "server")]
mod facts;
mod finding;
#[cfg(feature = "server")]
mod keys;
#[cfg(feature = "server")]
mod observe;
mod report;
#[cfg(feature = "server")]
pub mod rules;
#[cfg(feature = "server")]
mod run;
#[cfg(feature = "server")]
mod start;
#[cfg(feature = "server")]
mod sys;

pub use finding::{Evidence, Finding, Severity};
pub use report::Report;

#[cfg(feature = "server")]
pub use self::{
    check::check,
    device_names::DeviceNames,
    facts::{
        ClockFacts, ControllerFacts, Facts, HostFacts, LIBIPMCTL, ModuleState, Modules, PlaceFacts,
        PlacePurpose, PmemFacts, PortFacts, PortHolder, PortPurpose, ToolFacts,
    },
    keys::{Asked, ConfigKeys},
    observe::{Roots, observe},
    run::Preflight,
    start::{Fitted, HostVerdict, check_host, fit_to_host},
};
