//! Fault domains: the path of enclosures (rack, host) whose failure takes an engine with it.
//!
//! Owns the syntax of contract 6.5; the tree over all members is in [`tree`]. Used by members, joins and the
//! configuration. Knows nothing of pools.

mod tree;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use self::tree::FaultDomainTree;
use crate::error::FaultDomainError;

/// The most levels there may be below the root (contract 6.5).
pub const MAX_LEVELS: usize = 2;

/// One level of a [`FaultDomain`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FaultDomainLevel {
    /// What kind of enclosure it is, e.g. `rack`; empty when the path is not labelled.
    pub label: String,
    /// Which one it is, e.g. `r1`.
    pub name: String,
}

/// A path such as `/rack1/host2` or `/rack=r1/host=h2`: one or two levels, lower case, labelled throughout or
/// not at all (contract 6.5).
///
/// ```
/// use daos_membership::FaultDomain;
/// let domain: FaultDomain = "/Rack=R1/Host=H2".parse()?;
/// assert_eq!(domain.to_string(), "/rack=r1/host=h2");
/// assert_eq!(domain.labels(), ["rack", "host"]);
/// # Ok::<(), daos_membership::FaultDomainError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FaultDomain {
    /// Of its exact size: every member has one.
    levels: Box<[FaultDomainLevel]>,
}

impl FaultDomain {
    /// The domain of a host without a configured one: `/<hostname>`.
    ///
    /// # Errors
    /// [`FaultDomainError::Invalid`] when the name cannot be a level, e.g. because it is empty.
    pub fn of_host(hostname: &str) -> Result<Self, FaultDomainError> {
        if hostname.contains('/') {
            return Err(invalid(hostname, "a host name has no slash"));
        }
        format!("/{hostname}").parse()
    }

    /// Its levels, outermost first.
    #[must_use]
    pub fn levels(&self) -> &[FaultDomainLevel] {
        &self.levels
    }

    /// The label of each level, empty texts when there are none.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        self.levels.iter().map(|level| level.label.clone()).collect()
    }
}

impl FromStr for FaultDomain {
    type Err = FaultDomainError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = trimmed(text);
        let inner =
            path.strip_prefix('/').ok_or_else(|| invalid(text, "it must start with a slash"))?;
        let levels = inner
            .split('/')
            .map(|level| parse_level(text, level))
            .collect::<Result<Box<[_]>, _>>()?;
        let labelled = levels.iter().filter(|level| !level.label.is_empty()).count();
        if labelled != 0 && labelled != levels.len() {
            return Err(invalid(text, "either every level has a label or none"));
        }
        if levels.len() > MAX_LEVELS {
            return Err(FaultDomainError::TooManyLevels { text: text.to_owned(), max: MAX_LEVELS });
        }
        Ok(Self { levels })
    }
}

fn parse_level(text: &str, level: &str) -> Result<FaultDomainLevel, FaultDomainError> {
    let (label, name) = match level.split_once('=') {
        Some((label, _)) if trimmed(label).is_empty() => {
            return Err(invalid(text, "a label before '=' may not be empty"));
        }
        Some(pair) => pair,
        None => ("", level),
    };
    let name = trimmed(name);
    if name.is_empty() {
        return Err(invalid(text, "a level may not be empty"));
    }
    if name.contains('=') {
        return Err(invalid(text, "a name may not contain '='"));
    }
    if level.chars().any(char::is_control) {
        return Err(invalid(text, "control characters are not allowed"));
    }
    Ok(FaultDomainLevel { label: trimmed(label).to_lowercase(), name: name.to_lowercase() })
}

/// Blanks and quotes around a name do not belong to it.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c == ' ' || c == '\t' || c == '"' || c == '\'')
}

fn invalid(text: &str, why: &'static str) -> FaultDomainError {
    FaultDomainError::Invalid { text: text.to_owned(), why }
}

impl fmt::Display for FaultDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for FaultDomainLevel { label, name } in &self.levels {
            f.write_str("/")?;
            if !label.is_empty() {
                write!(f, "{label}=")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

impl TryFrom<String> for FaultDomain {
    type Error = FaultDomainError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<FaultDomain> for String {
    fn from(domain: FaultDomain) -> Self {
        domain.to_string()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::host("/host1", "/host1")]
    #[case::rack("/rack1/host2", "/rack1/host2")]
    #[case::lower("/Rack1/HOST2", "/rack1/host2")]
    #[case::labels("/rack=r1/host=h2", "/rack=r1/host=h2")]
    #[case::blanks("  / rack1 / \"host2\" ", "/rack1/host2")]
    #[case::quoted("'/a/b'", "/a/b")]
    fn reads_fault_domains(#[case] text: &str, #[case] canonical: &str) {
        let domain: FaultDomain = text.parse().unwrap();
        assert_eq!(domain.to_string(), canonical);
        assert_eq!(canonical.parse::<FaultDomain>().unwrap(), domain);
    }

    #[rstest]
    #[case::empty("")]
    #[case::root("/")]
    #[case::relative("rack/host")]
    #[case::empty_level("/rack//host")]
    #[case::trailing("/rack/")]
    #[case::quotes_only("/\"\"")]
    #[case::half_labelled("/rack=r1/h2")]
    #[case::empty_label("/=r1")]
    #[case::empty_name("/rack=")]
    #[case::two_equals("/rack=a=b")]
    #[case::newline("/a\nb")]
    fn refuses_what_is_no_fault_domain(#[case] text: &str) {
        let error = text.parse::<FaultDomain>().unwrap_err();
        assert_eq!(error.code(), 717, "{error}");
    }

    #[test]
    fn three_levels_are_too_many() {
        assert_eq!("/a/b/c".parse::<FaultDomain>().unwrap_err().code(), 724);
    }

    #[test]
    fn a_host_name_makes_a_domain() {
        assert_eq!(FaultDomain::of_host("Node1.site").unwrap().to_string(), "/node1.site");
        assert!(FaultDomain::of_host("").is_err());
        assert!(FaultDomain::of_host("a/b").is_err());
    }
}
