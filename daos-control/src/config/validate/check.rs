//! Collects broken rules and notices, each with its key and line.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Component, Path, PathBuf};

use crate::config::model::DataPlane;
use crate::config::yaml::Outline;
use crate::config::{ConfigFault, Notice};
use crate::fault::{Fault, code, table};

/// Domain of every fault of the server's configuration (contract 10.2).
pub(in crate::config) const DOMAIN: &str = "serverconfig";
/// 2.8's number for an invalid configuration without a number of its own.
pub(crate) const INVALID: i32 = code::SERVER_BAD_CONFIG;

/// What has been found so far.
pub(in crate::config) struct Check<'a> {
    outline: &'a Outline,
    overridden: &'a BTreeSet<String>,
    data_plane: DataPlane,
    relaxed: BTreeSet<i32>,
    pub(in crate::config) faults: Vec<ConfigFault>,
    pub(in crate::config) notices: Vec<Notice>,
}

impl<'a> Check<'a> {
    pub(in crate::config) fn new(
        outline: &'a Outline,
        overridden: &'a BTreeSet<String>,
        data_plane: DataPlane,
    ) -> Self {
        Self {
            outline,
            overridden,
            data_plane,
            relaxed: BTreeSet::new(),
            faults: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// Records a broken rule.
    pub(in crate::config) fn fault(
        &mut self,
        key: impl Into<String>,
        code: i32,
        description: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let key = key.into();
        let mut description = description.into();
        let mut position = self.outline.nearest_position(&key);
        if self.overridden.contains(&key) {
            position = None;
            description.push_str(" (given on the command line)");
        }
        let domain = table::find(code).map_or(DOMAIN, |row| row.domain);
        let fault = Fault::new(domain, code, description, remedy);
        self.faults.push(ConfigFault { key, position, fault });
    }

    /// Whether a key stands in the file.
    pub(in crate::config) fn is_written(&self, key: &str) -> bool {
        self.outline.contains(key)
    }

    /// The path of an engine's storage key, in whichever generation and tier it is written.
    pub(in crate::config) fn storage_key(&self, engine: &str, key: &str) -> String {
        storage_key(self.outline, engine, key)
    }

    /// Records a rule that only protects a real engine: with the emulated data plane it is one notice.
    pub(in crate::config) fn protect(
        &mut self,
        key: impl Into<String>,
        code: i32,
        description: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        match self.data_plane {
            DataPlane::Engine => self.fault(key, code, description, remedy),
            DataPlane::Emulated => {
                if self.relaxed.insert(code) {
                    let text = format!(
                        "{}; a real engine would refuse this (fault {code})",
                        description.into()
                    );
                    self.notice(key, text);
                }
            }
        }
    }

    /// Records something to be known.
    pub(in crate::config) fn notice(&mut self, key: impl Into<String>, text: impl Into<String>) {
        let key = key.into();
        let position = self.outline.nearest_position(&key);
        self.notices.push(Notice { key, position, text: text.into() });
    }

    /// A whole number within a range; out of range is a fault and nothing.
    pub(in crate::config) fn number<T: TryFrom<i64> + Display>(
        &mut self,
        key: &str,
        written: Option<i64>,
        range: RangeInclusive<i64>,
        code: i32,
    ) -> Option<T> {
        let value = written?;
        let converted = range.contains(&value).then(|| T::try_from(value).ok()).flatten();
        if converted.is_none() {
            let (low, high) = (range.start(), range.end());
            self.fault(
                key,
                code,
                format!("{value} is out of range"),
                format!("give a number from {low} to {high}"),
            );
        }
        converted
    }

    /// An absolute path without `..`; anything else is a fault and nothing.
    pub(in crate::config) fn absolute(&mut self, key: &str, written: &str) -> Option<PathBuf> {
        let path = Path::new(written);
        let description = if written.is_empty() {
            "the path is empty".to_owned()
        } else if !path.is_absolute() {
            format!("`{written}` is not an absolute path")
        } else if written.contains('\0')
            || path.components().any(|part| part == Component::ParentDir)
        {
            format!("{written:?} has `..` or a zero byte in it")
        } else {
            return Some(path.to_path_buf());
        };
        self.fault(key, INVALID, description, "give a path that starts with `/` and has no `..`");
        None
    }

    /// Whether a rule about this key, or about one inside it, is broken.
    pub(in crate::config) fn has_fault_at(&self, key: &str) -> bool {
        self.faults.iter().any(|fault| {
            fault
                .key
                .strip_prefix(key)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// Whether the storage of an engine was understood, so that rules about all of it can be applied.
    pub(in crate::config) fn storage_is_sound(&self, engine: &str) -> bool {
        let storage = [".storage", ".scm_", ".bdev_"];
        let is_storage = |fault: &ConfigFault| {
            fault
                .key
                .strip_prefix(engine)
                .is_some_and(|rest| storage.iter().any(|at| rest.starts_with(at)))
        };
        !self.faults.iter().any(is_storage)
    }
}

/// The path of an engine's storage key, in whichever generation and tier it is written.
pub(crate) fn storage_key(outline: &Outline, engine: &str, key: &str) -> String {
    let mut in_tiers = (0..4).map(|tier| format!("{engine}.storage[{tier}].{key}"));
    if let Some(written) = in_tiers.find(|path| outline.contains(path)) {
        return written;
    }
    let tiered = outline.contains(&format!("{engine}.storage")) && key.starts_with("scm_");
    if tiered { format!("{engine}.storage[0].{key}") } else { format!("{engine}.{key}") }
}

/// The text of a key, if it is written and not empty.
pub(in crate::config) fn text(written: Option<&String>) -> Option<&str> {
    written.map(String::as_str).filter(|text| !text.is_empty())
}
