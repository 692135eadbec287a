//! Host lists: the text an administrator types for a set of hosts, and the set itself.
//!
//! Owns the grammar (`parse`), the canonical folded form (`fold`) and the ordered set. Called by the client
//! configuration, by `dmg` and wherever hosts are grouped. Knows no network.

mod error;
mod fold;
mod parse;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

pub use error::{HostListError, HostListProblem};

/// The most hosts one pattern, and one whole list, may name (contract 8.4). One limit for both, so that every
/// set that was read prints in a form that can be read again.
pub const MAX_HOSTS: usize = 16_384;

/// One host, with its control port when one was given.
///
/// Hosts order by name as people count (`node2` before `node10`), then by port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostAddr {
    host: String,
    port: Option<u16>,
}

impl HostAddr {
    /// A host by name or IPv4 address, without brackets.
    ///
    /// # Errors
    /// [`HostListError`] when the text is not one plain host, e.g. holds a range or a bare number.
    pub fn parse(text: &str) -> Result<Self, HostListError> {
        let set = HostSet::parse(text)?;
        let mut hosts = set.hosts.into_iter();
        match (hosts.next(), hosts.next()) {
            (Some(host), None) => Ok(host),
            _ => Err(HostListError::new(text, 0, HostListProblem::NotOneHost)),
        }
    }

    /// The name or address without the port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The control port, if the text gave one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The same host with `default` filled in where no port was given.
    #[must_use]
    pub fn or_port(mut self, default: u16) -> Self {
        self.port = self.port.or(Some(default));
        self
    }

    fn without_port(&self, hidden: u16) -> Self {
        let port = self.port.filter(|port| *port != hidden);
        Self { host: self.host.clone(), port }
    }
}

impl fmt::Display for HostAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

impl PartialOrd for HostAddr {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for HostAddr {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        fold::natural_order(&self.host, &other.host).then_with(|| self.port.cmp(&other.port))
    }
}

/// A set of hosts: sorted, without duplicates, printed in folded form (`node[1-3,7]:10001`).
///
/// ```
/// use daos_control::client::HostSet;
///
/// let hosts = HostSet::parse("node[1-3]:10001, node7:10001 node2:10001")?;
/// assert_eq!(hosts.len(), 4);
/// assert_eq!(hosts.to_string(), "node[1-3,7]:10001");
/// assert_eq!(hosts.display_hiding_port(10001), "node[1-3,7]");
/// # Ok::<(), daos_control::client::HostListError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostSet {
    hosts: BTreeSet<HostAddr>,
}

impl HostSet {
    /// Reads a host list: patterns separated by commas, blanks or tabs (contract 8.4, R100).
    ///
    /// # Errors
    /// The first problem with its position in the text. Text without any host is one too.
    pub fn parse(text: &str) -> Result<Self, HostListError> {
        parse::host_list(text)
    }

    /// Reads a host file: one pattern per line, `#` starts a comment (R101).
    ///
    /// # Errors
    /// The first problem, with its line; a file that names no host is one too.
    pub fn parse_file(text: &str) -> Result<Self, HostListError> {
        let mut set = Self::default();
        for (index, line) in text.lines().enumerate() {
            let pattern = line.split('#').next().unwrap_or_default().trim();
            if pattern.is_empty() {
                continue;
            }
            let more = Self::parse(pattern).map_err(|error| error.on_line(index + 1))?;
            set.hosts.extend(more.hosts);
            if set.hosts.len() > MAX_HOSTS {
                let problem = HostListProblem::TooManyHosts { limit: MAX_HOSTS };
                return Err(HostListError::new(pattern, 0, problem).on_line(index + 1));
            }
        }
        if set.hosts.is_empty() {
            return Err(HostListError::new("", 0, HostListProblem::Empty));
        }
        Ok(set)
    }

    /// How many hosts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Whether there is no host.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// The hosts in order.
    pub fn iter(&self) -> impl Iterator<Item = &HostAddr> {
        self.hosts.iter()
    }

    /// Adds one host; adding it twice changes nothing.
    pub fn insert(&mut self, host: HostAddr) {
        self.hosts.insert(host);
    }

    /// The same hosts, each with a port: its own or `default`.
    #[must_use]
    pub fn with_ports(self, default: u16) -> Self {
        self.hosts.into_iter().map(|host| host.or_port(default)).collect()
    }

    /// The folded form in which `port` is not shown (contract 8.5).
    #[must_use]
    pub fn display_hiding_port(&self, port: u16) -> String {
        self.hosts.iter().map(|host| host.without_port(port)).collect::<Self>().to_string()
    }
}

impl fmt::Display for HostSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&fold::fold(self.hosts.iter()))
    }
}

impl FromStr for HostSet {
    type Err = HostListError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl FromIterator<HostAddr> for HostSet {
    fn from_iter<I: IntoIterator<Item = HostAddr>>(hosts: I) -> Self {
        Self { hosts: hosts.into_iter().collect() }
    }
}

impl IntoIterator for HostSet {
    type Item = HostAddr;
    type IntoIter = std::collections::btree_set::IntoIter<HostAddr>;

    fn into_iter(self) -> Self::IntoIter {
        self.hosts.into_iter()
    }
}
