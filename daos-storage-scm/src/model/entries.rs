//! The names found in a directory, capped so that a full directory does not fill a message.

use std::fmt;

use serde::{Deserialize, Serialize};

/// At most this many names are kept.
pub const ENTRIES_SHOWN: usize = 16;

/// What a directory holds: names in order, at most [`ENTRIES_SHOWN`], and how many there are in all.
///
/// `lost+found` of an ext4 root is left out by whoever looks, since it is no content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entries {
    names: Vec<String>,
    total: usize,
}

impl Entries {
    /// Sorts and caps `names`; bytes that are not text are shown as replacement characters.
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        let mut names: Vec<String> = names.into_iter().map(Into::into).collect();
        names.sort();
        let total = names.len();
        names.truncate(ENTRIES_SHOWN);
        Self { names, total }
    }

    /// Whether there is nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// How many there are, also those not kept.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }

    /// The first names in order.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether `name` is there, as far as names were kept.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.names.iter().any(|each| each == name)
    }

    /// Whether every entry is one of `known`. More entries than were kept cannot all be known.
    #[must_use]
    pub fn only(&self, known: &[String]) -> bool {
        self.total == self.names.len() && self.names.iter().all(|name| known.contains(name))
    }
}

impl fmt::Display for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing");
        }
        let escaped: Vec<String> =
            self.names.iter().map(|name| name.escape_debug().to_string()).collect();
        f.write_str(&escaped.join(", "))?;
        match self.total - self.names.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_directory_is_capped_and_counted() {
        let entries = Entries::new((0..40).map(|n| format!("f{n:02}")));
        assert_eq!((entries.names().len(), entries.total()), (ENTRIES_SHOWN, 40));
        assert!(entries.to_string().ends_with("f15 and 24 more"), "{entries}");
        let known: Vec<String> = (0..40).map(|n| format!("f{n:02}")).collect();
        assert!(!entries.only(&known), "what was not kept is not known");
    }

    #[test]
    fn control_characters_in_names_do_not_reach_a_terminal() {
        assert_eq!(Entries::new(["a\x1b[2J"]).to_string(), "a\\u{1b}[2J");
        assert_eq!(Entries::default().to_string(), "nothing");
    }
}
