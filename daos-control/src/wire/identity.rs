//! Who calls and in which version: the two headers of contract 1.7 and the suffix of 1.3.
//!
//! The client signs its requests here; the server reads and judges them in `rpc::admission`.

use std::fmt;
use std::str::FromStr;

use tonic::metadata::{MetadataMap, MetadataValue};

/// Header that says which component calls.
pub const COMPONENT_HEADER: &str = "x-daos-component";
/// Header that says the caller's version.
pub const VERSION_HEADER: &str = "x-daos-version";

/// The version that everything here speaks on the wire, whatever the product's own version is.
pub const WIRE_VERSION: Version = Version { major: 2, minor: 8, patch: 0 };

/// The part of a DAOS installation that calls or is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Component {
    /// A storage node's control plane.
    Server,
    /// The administrator's tool.
    Admin,
    /// The agent on a client node.
    Agent,
    /// A client library.
    Client,
}

impl Component {
    /// The text of the header and of a certificate's common name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Admin => "admin",
            Self::Agent => "agent",
            Self::Client => "client",
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Component {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "server" => Ok(Self::Server),
            "admin" => Ok(Self::Admin),
            "agent" => Ok(Self::Agent),
            "client" => Ok(Self::Client),
            _ => Err(()),
        }
    }
}

/// Three numbers, `X.Y.Z`, with an optional leading `v` when read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Version {
    /// Changes when nothing fits any more.
    pub major: u32,
    /// Changes when peers need each other's.
    pub minor: u32,
    /// Never matters for compatibility.
    pub patch: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.strip_prefix('v').unwrap_or(text).split('.').map(number);
        let (major, minor, patch) = (parts.next(), parts.next(), parts.next());
        match (major, minor, patch, parts.next()) {
            (Some(Some(major)), Some(Some(minor)), Some(Some(patch)), None) => {
                Ok(Self { major, minor, patch })
            }
            _ => Err(()),
        }
    }
}

/// Digits only: the standard parser would also take a plus sign.
fn number(text: &str) -> Option<u32> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Adds the two headers to a request that leaves this process.
pub fn sign(metadata: &mut MetadataMap, component: Component) {
    metadata.insert(COMPONENT_HEADER, MetadataValue::from_static(component.as_str()));
    if let Ok(version) = MetadataValue::try_from(WIRE_VERSION.to_string()) {
        metadata.insert(VERSION_HEADER, version);
    }
}

/// Splits `<name>-<X.Y.Z>` into the name and the version; without a version the whole text is the name (contract 1.3).
#[must_use]
pub fn split_system(sys: &str) -> (&str, Option<Version>) {
    match sys.rsplit_once('-') {
        Some((name, last)) => match last.parse() {
            Ok(version) => (name, Some(version)),
            Err(()) => (sys, None),
        },
        None => (sys, None),
    }
}

/// The `sys` field of a request for the system `name`: the name with our version behind it.
#[must_use]
pub fn address_system(name: &str) -> String {
    format!("{name}-{WIRE_VERSION}")
}

#[cfg(test)]
mod tests {
    use super::{Component, Version, address_system, split_system};

    #[test]
    fn a_version_suffix_is_split_off_and_nothing_else() {
        let two_eight = Some(Version { major: 2, minor: 8, patch: 0 });
        assert_eq!(split_system("daos_server-2.8.0"), ("daos_server", two_eight));
        assert_eq!(split_system("daos_server-v2.8.0"), ("daos_server", two_eight));
        assert_eq!(split_system("a-b-2.8.0"), ("a-b", two_eight));
        assert_eq!(split_system("a-b"), ("a-b", None));
        assert_eq!(split_system("daos_server"), ("daos_server", None));
        assert_eq!(split_system("x-2.8"), ("x-2.8", None));
        assert_eq!(split_system("x-2.8.0.1"), ("x-2.8.0.1", None));
        assert_eq!(split_system("2.8.0"), ("2.8.0", None));
        assert_eq!(split_system(""), ("", None));
        assert_eq!(split_system(&address_system("n")), ("n", two_eight));
    }

    #[test]
    fn nonsense_is_no_version_and_no_component() {
        for text in
            ["", "2", "2.8", "2.8.x", "2.8.-1", "+2.8.0", "2..0", "99999999999.0.0", "vv2.8.0"]
        {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
        for text in ["", "Admin", "root", "server "] {
            assert!(text.parse::<Component>().is_err(), "{text}");
        }
    }
}
