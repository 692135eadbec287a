//! What every command starts from: the global options, the configuration, and the client they make.

use std::path::Path;

use daos_control::client::{Client, ClientConfig, ClientError, HostSet, Transport};

use crate::cli::Globals;
use crate::logging;
use crate::outcome::Failure;
use crate::print::HostNames;

/// The global options and the configuration, merged: command line over file over defaults.
pub struct Session {
    globals: Globals,
    config: ClientConfig,
}

impl Session {
    /// Reads the configuration and opens the log.
    pub fn new(globals: Globals) -> Result<Self, Failure> {
        let mut config = ClientConfig::load(globals.config_path.as_deref())?;
        if globals.insecure {
            config.transport = Transport::Insecure;
        }
        let log_file = globals.log_file.as_deref().or(config.log_file.as_deref());
        logging::start(globals.debug, globals.json_logging, log_file)?;
        match &config.path {
            Some(path) => tracing::debug!(path = %path.display(), "configuration read"),
            None => tracing::debug!("no configuration file, built-in defaults"),
        }
        Ok(Self { globals, config })
    }

    /// A client for the chosen hosts.
    pub fn client(&self) -> Result<Client, ClientError> {
        let client = Client::new(&self.config)?;
        Ok(match self.named_hosts()? {
            Some(hosts) => client.with_hosts(hosts),
            None => client,
        })
    }

    /// Hosts other than the configured list: the host file, else the host list, else the configured host file
    /// (R101).
    fn named_hosts(&self) -> Result<Option<HostSet>, ClientError> {
        if let Some(path) = &self.globals.host_file {
            return read_hosts(path).map(Some);
        }
        if !self.globals.host_list.is_empty() {
            return Ok(Some(HostSet::parse(&self.globals.host_list.join(","))?));
        }
        self.config.host_file.as_deref().map(read_hosts).transpose()
    }

    /// How hosts are named in texts.
    pub fn host_names(&self) -> HostNames {
        HostNames { port: self.config.port }
    }

    /// Whether the result is printed as JSON.
    pub fn as_json(&self) -> bool {
        self.globals.json
    }

    /// Name of the system.
    pub fn system_name(&self) -> &str {
        &self.config.system_name
    }
}

fn read_hosts(path: &Path) -> Result<HostSet, ClientError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ClientError::Unreadable { path: path.to_owned(), source })?;
    Ok(HostSet::parse_file(&text)?)
}
