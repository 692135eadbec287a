//! What can be wrong with a host list, and where in the text.
//!
//! Made by the parser only; carries a code and a remedy for the administrator.

use std::fmt;

use crate::fault::code;

/// A host list that cannot be read: the text, the place and the problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostListError {
    text: String,
    /// Byte offset of the problem in the text, from 0.
    pub position: usize,
    /// Line of a host file, from 1.
    pub line: Option<usize>,
    /// What is wrong.
    pub problem: HostListProblem,
}

/// The ways in which a host list can be wrong. One each, so that the text can say what to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostListProblem {
    /// No host in the whole text.
    #[error("no host is named")]
    Empty,
    /// One host was wanted, and the text names several.
    #[error("one host is wanted, not a list or a range")]
    NotOneHost,
    /// A number alone is not a host name: it is far likelier a forgotten prefix.
    #[error("{0:?} is a bare number, not a host name")]
    BareNumber(String),
    /// A character that no host name holds.
    #[error("character {0:?} cannot be part of a host name")]
    BadCharacter(char),
    /// Names start with a letter or a digit.
    #[error("a host name starts with a letter or a digit, not {0:?}")]
    BadStart(char),
    /// A range with nothing before it.
    #[error("a range needs a name before its '['")]
    EmptyPrefix,
    /// A port with no host before it.
    #[error("no host before the ':'")]
    EmptyHost,
    /// `[` without `]`.
    #[error("'[' is never closed")]
    UnclosedBracket,
    /// `]` without `[`.
    #[error("']' has no '[' before it")]
    UnopenedBracket,
    /// `[` inside `[…]`.
    #[error("'[' inside another '['")]
    NestedBracket,
    /// `[]`, `[1,,2]`, `[-3]` or `[1-]`.
    #[error("a number is missing in the range")]
    MissingNumber,
    /// Something other than digits in a range.
    #[error("{0:?} is not a number")]
    NotANumber(String),
    /// A number of more than nine digits in a range.
    #[error("{0:?} is too large for a range")]
    NumberTooLarge(String),
    /// The range runs backwards.
    #[error("range {first}-{last} runs backwards")]
    ReversedRange {
        /// The number before the dash.
        first: u64,
        /// The number after it.
        last: u64,
    },
    /// More hosts than allowed.
    #[error("more than {limit} hosts")]
    TooManyHosts {
        /// The limit that was passed.
        limit: usize,
    },
    /// More than one colon.
    #[error("more than one ':' in a host (IPv6 addresses are not supported)")]
    TooManyColons,
    /// A colon with nothing after it.
    #[error("no port after the ':'")]
    EmptyPort,
    /// A port that is not 1 to 65535.
    #[error("port {0:?} is not a number from 1 to 65535")]
    BadPort(String),
    /// A range in an IPv4 address that is not in its last octet, or not all of it.
    #[error("a range in an IPv4 address must be its whole last octet")]
    RangeNotInLastOctet,
    /// An IPv4 octet above 255, or with a leading zero (which some resolvers read as octal).
    #[error("octet {0:?} of an IPv4 address is not a number from 0 to 255")]
    BadOctet(String),
}

impl HostListError {
    pub(super) fn new(text: &str, position: usize, problem: HostListProblem) -> Self {
        Self { text: text.to_owned(), position, line: None, problem }
    }

    pub(super) fn on_line(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }

    /// Stable number of this error.
    #[must_use]
    pub fn code(&self) -> i32 {
        code::CLIENT_HOST_LIST
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        match self.problem {
            HostListProblem::Empty => "name at least one host, e.g. node1 or node[1-4]",
            HostListProblem::BareNumber(_) => "write the whole host name, e.g. node1001",
            HostListProblem::TooManyHosts { .. } => {
                "split the list and run the command for each part"
            }
            HostListProblem::NotOneHost => "name exactly one host for this option",
            _ => "write hosts like node[1-3,07-09]-ib0:10001 or 10.0.0.[1-4], separated by commas",
        }
    }
}

impl fmt::Display for HostListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("host list")?;
        if let Some(line) = self.line {
            write!(f, " line {line}")?;
        }
        if self.text.is_empty() {
            return write!(f, ": {}", self.problem);
        }
        write!(f, " {:?}, character {}: {}", self.text, self.column(), self.problem)
    }
}

impl HostListError {
    fn column(&self) -> usize {
        let head = self.text.get(..self.position).unwrap_or(&self.text);
        head.chars().count() + 1
    }
}

impl std::error::Error for HostListError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        None
    }
}
