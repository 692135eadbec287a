//! What a start needs beside configuration and parts: what is known of this host and of the command line.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use crate::preflight::{ConfigKeys, HostFacts};

/// What a start needs beside configuration and parts.
#[derive(Debug, Clone)]
pub struct StartOptions {
    /// Address to listen on and advertise, when `control_iface` is given.
    pub control_address: Option<Ipv4Addr>,
    /// Where the configuration lies; a fault domain script must lie there as well.
    pub config_directory: PathBuf,
    /// Where the keys of the configuration stand, to name them later on.
    pub keys: ConfigKeys,
    /// What this host is, as the configuration was checked against it.
    pub host: HostFacts,
    /// Environment of the server, from which engines inherit.
    pub environment: Vec<(OsString, OsString)>,
    /// Proxy variables are passed on to engines (R34).
    pub allow_proxy: bool,
    /// Format blank storage without being asked.
    pub auto_format: bool,
}
