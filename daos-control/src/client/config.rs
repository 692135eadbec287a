//! The client's configuration file, `daos_control.yml` (contract 5.8, R102).
//!
//! Owns its keys, defaults and the places where it is looked for. Called by `dmg` and by embedders. Opens no
//! connection.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::ClientError;
use super::host_list::{HostListError, HostSet};
use crate::config::yaml;
use crate::fault::code;
use crate::tls::{CertificateFiles, Security, TlsError};
use crate::wire::Component;

/// Name of a system whose configuration gives none.
pub const DEFAULT_SYSTEM_NAME: &str = "daos_server";
/// Control port of a server whose configuration gives none.
pub const DEFAULT_PORT: u16 = 10001;
/// Longest system name, in bytes (contract 10.5).
pub const MAX_SYSTEM_NAME: usize = 15;

const FILE_NAME: &str = "daos_control.yml";
const SYSTEM_DIRECTORY: &str = "/etc/daos";
const CERTIFICATES: &str = "/etc/daos/certs";

/// Keys of other generations and what to say about them.
const HINTS: yaml::Hints = &[
    ("insecure", "allow_insecure under transport_config"),
    ("allow_insecure", "allow_insecure under transport_config"),
    ("mgmt_svc_replicas", "hostlist"),
];

/// What the client needs to know about a system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// Name of the system; at most 15 bytes. Default `daos_server`.
    pub system_name: String,
    /// Control port of hosts that are named without one; 1 to 65535. Default 10001.
    pub port: u16,
    /// The hosts to talk to, each with its port. Default `localhost` on the default port.
    pub hosts: HostSet,
    /// A file with more patterns, which takes precedence over `hosts` (R101). Default none.
    pub host_file: Option<PathBuf>,
    /// Whether and how connections are secured. Default: certificates in `/etc/daos/certs`.
    pub transport: Transport,
    /// File for log lines; default none, which is standard error.
    pub log_file: Option<PathBuf>,
    /// The file that was read; `None` for built-in defaults.
    pub path: Option<PathBuf>,
}

/// How connections are secured (R103).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// Plain text, peers trusted by what they say.
    Insecure,
    /// Both sides show certificates.
    Certificates {
        /// Certificate of the authority.
        ca: PathBuf,
        /// The administrator's certificate.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
    },
}

impl Transport {
    /// Ready for connections in the name of `component`.
    ///
    /// # Errors
    /// Certificate files that are missing or not right.
    pub fn security(&self, component: Component) -> Result<Security, TlsError> {
        match self {
            Self::Insecure => Ok(Security::Insecure),
            Self::Certificates { ca, certificate, key } => {
                let (ca, certificate, key) = (ca.clone(), certificate.clone(), key.clone());
                Security::with_certificates(CertificateFiles { ca, certificate, key }, component)
            }
        }
    }
}

impl Default for Transport {
    fn default() -> Self {
        let at = |name: &str| Path::new(CERTIFICATES).join(name);
        Self::Certificates {
            ca: at("daosCA.crt"),
            certificate: at("admin.crt"),
            key: at("admin.key"),
        }
    }
}

impl Default for ClientConfig {
    fn default() -> Self {
        let host = HostSet::parse("localhost").unwrap_or_default();
        Self {
            system_name: DEFAULT_SYSTEM_NAME.to_owned(),
            port: DEFAULT_PORT,
            hosts: host.with_ports(DEFAULT_PORT),
            host_file: None,
            transport: Transport::default(),
            log_file: None,
            path: None,
        }
    }
}

/// The file as it is written: both generations of keys.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Option<String>,
    port: Option<u16>,
    hostlist: Option<Patterns>,
    transport_config: Option<TransportFile>,
    /// Keys of the seed's client file. `access_points` stands in for a missing `hostlist`.
    access_points: Option<Patterns>,
    host_file: Option<PathBuf>,
    log_file: Option<PathBuf>,
    /// Read and ignored: the client keeps no sockets and has one log format per option.
    #[serde(rename = "runtime_dir")]
    _runtime_dir: Option<PathBuf>,
    #[serde(rename = "log_file_format")]
    _log_file_format: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TransportFile {
    allow_insecure: Option<bool>,
    ca_cert: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    /// Read and ignored: peers are verified by authority and role, not by host name (contract 1.8).
    #[serde(rename = "server_name")]
    _server_name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Patterns {
    One(String),
    Many(Vec<String>),
}

impl Patterns {
    fn hosts(&self) -> Result<HostSet, HostListError> {
        match self {
            Self::One(pattern) => HostSet::parse(pattern),
            Self::Many(patterns) => HostSet::parse(&patterns.join(",")),
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Many(patterns) if patterns.is_empty())
    }
}

impl ClientConfig {
    /// Reads the file named on the command line, else the first that exists of [`default_paths`], else gives the
    /// built-in defaults.
    ///
    /// # Errors
    /// A file that was named and does not exist (R102), and any file that is not right.
    pub fn load(named: Option<&Path>) -> Result<Self, ClientError> {
        let found = match named {
            Some(path) if !path.exists() => {
                return Err(ClientError::NoConfigFile { path: path.to_owned() });
            }
            Some(path) => Some(path.to_owned()),
            None => default_paths().into_iter().find(|path| path.exists()),
        };
        match found {
            Some(path) => Self::read(&path),
            None => Ok(Self::default()),
        }
    }

    /// Reads one file.
    ///
    /// # Errors
    /// An unreadable or empty file, the first syntax or type fault, or a value that cannot be.
    pub fn read(path: &Path) -> Result<Self, ClientError> {
        let bytes = std::fs::read(path)
            .map_err(|source| ClientError::Unreadable { path: path.to_owned(), source })?;
        Self::from_yaml(&bytes, path)
    }

    fn from_yaml(bytes: &[u8], path: &Path) -> Result<Self, ClientError> {
        let document = yaml::load::<File>(bytes, &path.display().to_string(), HINTS)
            .map_err(ClientError::Config)?;
        if document.outline.is_empty() {
            return Err(value_error(
                path,
                "the whole file",
                code::CLIENT_EMPTY_CONFIG,
                "holds no key",
            ));
        }
        Self::checked(document.value, path)
    }

    fn checked(file: File, path: &Path) -> Result<Self, ClientError> {
        let defaults = Self::default();
        let system_name = file.name.unwrap_or(defaults.system_name);
        if system_name.is_empty() || system_name.len() > MAX_SYSTEM_NAME {
            let problem = format!("a system name has 1 to {MAX_SYSTEM_NAME} bytes");
            return Err(value_error(path, "name", code::CLIENT_BAD_SYSTEM_NAME, &problem));
        }
        let port = file.port.unwrap_or(defaults.port);
        if port == 0 {
            let problem = "the control port cannot be 0";
            return Err(value_error(path, "port", code::CLIENT_CONFIG_BAD_CONTROL_PORT, problem));
        }
        let hosts = match file.hostlist.or(file.access_points) {
            None => HostSet::parse("localhost")?,
            Some(patterns) if patterns.is_empty() => return Err(ClientError::NoHosts),
            Some(patterns) => patterns.hosts()?,
        };
        Ok(Self {
            system_name,
            port,
            hosts: hosts.with_ports(port),
            host_file: file.host_file,
            transport: transport(file.transport_config.unwrap_or_default()),
            log_file: file.log_file,
            path: Some(path.to_owned()),
        })
    }
}

fn transport(file: TransportFile) -> Transport {
    if file.allow_insecure.unwrap_or(false) {
        return Transport::Insecure;
    }
    match Transport::default() {
        Transport::Insecure => Transport::Insecure,
        Transport::Certificates { ca, certificate, key } => Transport::Certificates {
            ca: file.ca_cert.unwrap_or(ca),
            certificate: file.cert.unwrap_or(certificate),
            key: file.key.unwrap_or(key),
        },
    }
}

fn value_error(path: &Path, key: &'static str, code: i32, problem: &str) -> ClientError {
    ClientError::ConfigValue { path: path.to_owned(), key, code, problem: problem.to_owned() }
}

/// Where the file is looked for: the caller's home, `../etc` beside the program, `/etc/daos`.
#[must_use]
pub fn default_paths() -> Vec<PathBuf> {
    let home = std::env::home_dir().map(|home| home.join(format!(".{FILE_NAME}")));
    let beside = std::env::current_exe()
        .ok()
        .and_then(|program| Some(program.parent()?.parent()?.join("etc").join(FILE_NAME)));
    let system = Path::new(SYSTEM_DIRECTORY).join(FILE_NAME);
    home.into_iter().chain(beside).chain([system]).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{ClientConfig, Transport};
    use crate::client::ClientError;

    fn read(yaml: &str) -> Result<ClientConfig, ClientError> {
        ClientConfig::from_yaml(yaml.as_bytes(), Path::new("daos_control.yml"))
    }

    /// R102: no file, the documented values.
    #[test]
    fn defaults_are_those_of_the_contract() {
        let config = ClientConfig::default();
        assert_eq!((config.system_name.as_str(), config.port), ("daos_server", 10001));
        assert_eq!(config.hosts.to_string(), "localhost:10001");
        let Transport::Certificates { ca, certificate, key } = config.transport else {
            panic!("secure by default");
        };
        assert_eq!(ca, Path::new("/etc/daos/certs/daosCA.crt"));
        assert_eq!(certificate, Path::new("/etc/daos/certs/admin.crt"));
        assert_eq!(key, Path::new("/etc/daos/certs/admin.key"));
    }

    /// Contract 5.8: ranges, and the file's port for entries without one.
    #[test]
    fn reads_the_keys_of_2_8() {
        let config = read(
            "name: mine\nport: 20000\nhostlist: ['node[1-2]', 'other:30000']\ntransport_config:\n  allow_insecure: true\n",
        )
        .unwrap();
        assert_eq!(config.system_name, "mine");
        assert_eq!(config.hosts.to_string(), "node[1-2]:20000,other:30000");
        assert_eq!(config.transport, Transport::Insecure);
    }

    /// R102: the seed's keys are known.
    #[test]
    fn reads_the_keys_of_the_seed() {
        let config =
            read("access_points: [ap1]\nruntime_dir: /run/x\nhost_file: /h\nlog_file: /l\n")
                .unwrap();
        assert_eq!(config.hosts.to_string(), "ap1:10001");
        assert_eq!(config.host_file.as_deref(), Some(Path::new("/h")));
        assert_eq!(config.log_file.as_deref(), Some(Path::new("/l")));
    }

    #[test]
    fn refuses_what_cannot_be() {
        let code = |yaml: &str| read(yaml).unwrap_err().code();
        assert_eq!(code("port: 0\n"), 501);
        assert_eq!(code("hostlist: []\n"), 503);
        assert_eq!(code("hostlist: ['1001']\n"), 1340);
        assert_eq!(code("name: a_name_too_long_by_far\n"), 1349);
        assert_eq!(code(""), 1350);
        assert_eq!(code("# nothing\n"), 1350);
        assert_eq!(code("hostlsit: [a]\n"), 1312);
        assert_eq!(code("port: ten\n"), 1311);
        assert_eq!(code("port: 1\nport: 2\n"), 1313);
    }

    /// R102: a file that is named must exist.
    #[test]
    fn a_named_file_must_exist() {
        let error =
            ClientConfig::load(Some(Path::new("/nonexistent/daos_control.yml"))).unwrap_err();
        assert_eq!(error.code(), 1346);
        assert!(error.to_string().contains("/nonexistent/daos_control.yml"));
    }
}
