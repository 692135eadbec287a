//! `daos_server cert`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use daos_control::tls::authority::DEFAULT_DAYS;

/// Certificate commands.
#[derive(Debug, Subcommand)]
pub enum Cert {
    /// Make the private authority that signs all certificates of a system
    Init {
        /// Directory for its certificate and its key
        #[arg(long, value_name = "DIR", default_value = CERTIFICATES)]
        dir: PathBuf,
        /// Days it is good for
        #[arg(long, default_value_t = DEFAULT_DAYS, value_parser = clap::value_parser!(u32).range(1..))]
        days: u32,
        /// Use this key (PEM, PKCS #8) instead of making an ECDSA key
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// Overwrite an authority; certificates of the old one are no longer trusted
        #[arg(long)]
        replace: bool,
    },
    /// Issue the certificate of a role
    Issue {
        /// Whose certificate
        #[arg(value_enum)]
        role: Role,
        /// Directory of the authority; the certificate and its key are written there
        #[arg(long, value_name = "DIR", default_value = CERTIFICATES)]
        dir: PathBuf,
        /// Host name or address to put in; may be repeated
        #[arg(long = "san", value_name = "NAME")]
        names: Vec<String>,
        /// Days it is good for, at most as long as the authority
        #[arg(long, default_value_t = DEFAULT_DAYS, value_parser = clap::value_parser!(u32).range(1..))]
        days: u32,
        /// Use this key (PEM, PKCS #8) instead of making an ECDSA key; stock DAOS 2.8 peers need RSA
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// The authority's key, when it is not in the directory
        #[arg(long = "ca-key", value_name = "FILE")]
        authority_key: Option<PathBuf>,
        /// Overwrite a certificate and its key
        #[arg(long)]
        replace: bool,
    },
    /// Show certificates: to whom they are made out, and for how long
    Show {
        /// Certificate files, or directories of them
        #[arg(value_name = "PATH", default_value = CERTIFICATES)]
        paths: Vec<PathBuf>,
    },
}

/// Where certificates are by default (contract 5.1).
const CERTIFICATES: &str = "/etc/daos/certs";

/// Those who need certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Administrators: dmg
    Admin,
    /// Storage nodes: daos_server
    Server,
    /// Client nodes: daos_agent
    Agent,
}
