//! Several replicas of the management service with the real programs: one system out of several servers, which goes on
//! when one of them is lost, and whose replicas change while it runs.

#[path = "../rig/mod.rs"]
mod rig;

mod changes;
mod cluster;
mod forming;
mod recovery;
