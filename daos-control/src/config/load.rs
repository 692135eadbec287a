//! From a path to a validated configuration: which file, which layers, in which order (R21-R28).
//!
//! Called by the server and by `daos_server config`. The environment of the process has no say (R27); what
//! depends on the process comes in as [`Surroundings`].

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::Serialized;

use super::command_line::{CommandLine, Overrides};
use super::defaults::*;
use super::raw::{KEY_HINTS, RawConfig, RawTransport};
use super::validate::{DOMAIN, INVALID, Refused, Validated, validate};
use super::yaml::{self, MAX_BYTES, Outline};
use super::{ConfigError, ConfigFault, Notice, ServerConfig};
use crate::Fault;

/// Where 2.8 keeps the file.
const SYSTEM_PATH: &str = "/etc/daos/daos_server.yml";

/// What of the process decides where files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// Directory that a relative `-o` path starts at (R22).
    pub current_dir: PathBuf,
    /// The running program; the default file is `../etc/daos_server.yml` beside it (R23).
    pub executable: PathBuf,
    /// `state_dir` when the key is absent.
    pub default_state_dir: PathBuf,
}

impl Surroundings {
    /// Those of this process.
    ///
    /// # Errors
    /// When the current directory or the running program cannot be told.
    pub fn of_this_process() -> io::Result<Self> {
        Ok(Self {
            current_dir: std::env::current_dir()?,
            executable: std::fs::read_link("/proc/self/exe")?,
            default_state_dir: default_state_dir(
                Path::new(DEFAULT_STATE_DIR),
                std::env::var_os("XDG_STATE_HOME").map(PathBuf::from),
                std::env::var_os("HOME").map(PathBuf::from),
            ),
        })
    }
}

/// The system's state directory when this process may use or make it, else the user's (XDG base directories).
#[must_use]
pub fn default_state_dir(
    system: &Path,
    xdg_state_home: Option<PathBuf>,
    home: Option<PathBuf>,
) -> PathBuf {
    let existing = system.ancestors().find(|path| path.exists()).unwrap_or(system);
    let usable = rustix::fs::access(existing, rustix::fs::Access::WRITE_OK).is_ok();
    let user = xdg_state_home
        .filter(|path| path.is_absolute())
        .or_else(|| home.filter(|path| path.is_absolute()).map(|path| path.join(".local/state")));
    match (usable, user, system.file_name()) {
        (false, Some(user), Some(name)) => user.join(name),
        _ => system.to_path_buf(),
    }
}

/// A configuration, where it came from, and its keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// Absolute path of the file that was read (R9).
    pub path: PathBuf,
    /// The checked configuration.
    pub config: ServerConfig,
    /// The file's own keys.
    pub written: RawConfig,
    /// The keys after layering: what is saved as the active configuration.
    pub effective: RawConfig,
    /// Where the file's keys stand.
    pub outline: Outline,
    /// What an administrator should know.
    pub notices: Vec<Notice>,
}

impl Loaded {
    /// The key under which engines are listed: `engines` or `servers`.
    #[must_use]
    pub fn engine_list_key(&self) -> &'static str {
        if self.effective.servers.is_some() { "servers" } else { "engines" }
    }
}

/// Finds, reads, layers and checks the configuration.
///
/// `given` is the path of `-o`. Precedence: built-in defaults, then the file, then `command_line` (R26).
///
/// # Errors
/// No file, an unreadable or malformed one, or broken rules, which are then all listed.
pub fn load(
    given: Option<&Path>,
    command_line: &CommandLine,
    surroundings: &Surroundings,
) -> Result<Loaded, ConfigError> {
    let path = resolve_path(given, surroundings)?;
    let bytes = read_bounded(&path)
        .map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
    parse(&bytes, path, command_line, surroundings)
}

/// Layers and checks a configuration that is in memory; `path` is how it is called in messages.
///
/// # Errors
/// As [`load`], but for the file.
pub fn parse(
    bytes: &[u8],
    path: PathBuf,
    command_line: &CommandLine,
    surroundings: &Surroundings,
) -> Result<Loaded, ConfigError> {
    let file = yaml::load::<RawConfig>(bytes, &path.display().to_string(), KEY_HINTS)
        .map_err(|diagnostic| ConfigError::Parse { path: path.clone(), diagnostic })?;
    let overrides = command_line.over(&file.value);
    let effective = layered(&file.value, &overrides, surroundings).map_err(|error| {
        let fault = Fault::new(DOMAIN, INVALID, "the layers do not fit together", "report this")
            .with_reason(&error);
        let fault = ConfigFault { key: error.path.join("."), position: None, fault };
        ConfigError::Invalid { path: path.clone(), faults: vec![fault], notices: Vec::new() }
    })?;
    match validate(&effective, &file.outline, &overrides.keys) {
        Ok(Validated { config, notices }) => Ok(Loaded {
            path,
            config,
            written: file.value,
            effective,
            outline: file.outline,
            notices,
        }),
        Err(Refused { faults, notices }) => Err(ConfigError::Invalid { path, faults, notices }),
    }
}

/// Where the file is: `-o` against the current directory, or the first default that exists (R22, R23, E9).
///
/// # Errors
/// [`ConfigError::NotFound`] with every path that was looked at.
pub fn resolve_path(
    given: Option<&Path>,
    surroundings: &Surroundings,
) -> Result<PathBuf, ConfigError> {
    let candidates = match given {
        Some(path) => vec![surroundings.current_dir.join(path)],
        None => {
            let install = surroundings.executable.parent().and_then(Path::parent);
            let beside = install.map(|install| install.join("etc/daos_server.yml"));
            beside.into_iter().chain([PathBuf::from(SYSTEM_PATH)]).collect()
        }
    };
    match candidates.iter().find(|path| path.try_exists().unwrap_or(true)) {
        Some(path) => Ok(path.clone()),
        None => Err(ConfigError::NotFound { tried: candidates }),
    }
}

/// The `state_dir` of a configuration file, without a check of anything else in it.
///
/// # Errors
/// [`ConfigError::Unreadable`], [`ConfigError::Parse`].
pub fn state_dir_of(path: &Path, surroundings: &Surroundings) -> Result<PathBuf, ConfigError> {
    let bytes = read_bounded(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    let file = yaml::load::<RawConfig>(&bytes, &path.display().to_string(), KEY_HINTS)
        .map_err(|diagnostic| ConfigError::Parse { path: path.to_owned(), diagnostic })?;
    let named = file.value.state_dir.map(PathBuf::from).filter(|path| path.is_absolute());
    Ok(named.unwrap_or_else(|| surroundings.default_state_dir.clone()))
}

/// Reads a plain file that is not larger than any configuration. Never waits for a writer of a FIFO.
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits();
    let file = File::options()
        .read(true)
        .custom_flags(i32::try_from(nonblocking).unwrap_or(0))
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn layered(
    file: &RawConfig,
    overrides: &Overrides,
    surroundings: &Surroundings,
) -> Result<RawConfig, Box<figment::Error>> {
    Figment::from(Serialized::defaults(built_in(surroundings)))
        .merge(Serialized::defaults(file))
        .merge(Serialized::defaults(&overrides.layer))
        .extract()
        .map_err(Box::new)
}

/// The lowest layer: every key whose default does not depend on another key.
#[must_use]
pub fn built_in(surroundings: &Surroundings) -> RawConfig {
    RawConfig {
        name: Some(DEFAULT_SYSTEM_NAME.to_owned()),
        port: Some(i64::from(DEFAULT_CONTROL_PORT)),
        socket_dir: Some(DEFAULT_SOCKET_DIR.to_owned()),
        state_dir: Some(surroundings.default_state_dir.display().to_string()),
        transport_config: Some(RawTransport {
            allow_insecure: Some(false),
            ca_cert: Some(DEFAULT_CA_CERT.to_owned()),
            cert: Some(DEFAULT_CERT.to_owned()),
            key: Some(DEFAULT_KEY.to_owned()),
            client_cert_dir: Some(DEFAULT_CLIENT_CERT_DIR.to_owned()),
            server_name: Some(DEFAULT_SERVER_NAME.to_owned()),
        }),
        control_log_mask: Some(DEFAULT_CONTROL_LOG_MASK.to_owned()),
        system_ram_reserved: Some(i64::from(DEFAULT_SYSTEM_RAM_RESERVED_GIB)),
        core_dump_filter: Some(i64::from(DEFAULT_CORE_DUMP_FILTER)),
        ..RawConfig::default()
    }
}
