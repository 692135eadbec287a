//! Assembly of a storage node: what is made first, what ends last.
//!
//! `place` reads off the configuration who this host is, `parts` chooses the bodies behind the traits, `start` puts
//! everything together in named steps, `deeds` is what engine tasks ask of the rest, `events` carries news between rooms, `news` to the system,
//! `background` runs beside requests, `upcalls` answers engines, `claims` keeps two servers apart, `drain` ends it all in
//! order. Called by `daos_server` and by whoever embeds a node.

mod background;
mod claims;
mod deeds;
mod drain;
mod events;
mod launch;
mod news;
mod options;
mod parts;
mod place;
mod start;
mod storage_use;
mod upcalls;

pub use claims::Claims;
pub use options::StartOptions;
pub use parts::{Parts, RECORD_FILE, providers_of_this_host};
pub use place::replica_hosts;
pub use start::Server;
