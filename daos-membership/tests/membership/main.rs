//! Tests of the crate from outside: rules, stores, replicas, the running service, and what survives a kill.

mod deaths;
mod decide_join;
mod decide_other;
mod errors;
mod events;
mod kill;
mod local;
mod offline;
mod power_loss;
mod properties;
mod quorum;
mod quorum_changes;
mod quorum_chaos;
mod quorum_faults;
mod quorum_stall;
mod service;
mod service_leading;
mod states_table;
mod store_file;
mod system;
