//! Wire messages to domain values, one file per area. Refuses what cannot be a value; decides nothing else.

mod bounds;
mod join;
mod ranks;
mod scan;

pub use bounds::{bounded, bounded_map};
pub use join::join;
pub use ranks::ranks;
pub use scan::{scan_options, wants_meta};
