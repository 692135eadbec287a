//! Text for people: tables, sizes, groups of equal hosts (contract 8.5). Pure: values in, text out.

mod events;
mod format;
mod hosts;
mod network;
mod plan;
mod preflight;
mod prepare;
mod replicas;
mod scan;
mod system;
mod table;
mod units;
mod usability;

pub use events::{cleaned, event, missed, pool_ranks};
pub use format::{format_results, of_device, result_text};
pub use hosts::{HostNames, errors, group_equal};
pub use network::fabrics;
pub use plan::{losses, plans};
pub use preflight::preflights;
pub use prepare::prepared;
pub use replicas::{answered_by, held_deaths, replica_set, replica_statuses, stale_remark};
pub use scan::{health, storage, storage_verbose};
pub use system::{
    absent, insecure_notice, members, members_verbose, operations, pairs, pools, self_heal_notice,
};
