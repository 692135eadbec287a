//! Collects broken rules and notices, each with its key and line.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Component, Path, PathBuf};

use crate::Fault;
use crate::config::model::DataPlane;
use crate::config::yaml::Outline;
use crate::config::{ConfigFault, Notice};

/// Domain of every fault of the server's configuration (contract 10.2).
pub(in crate::config) const DOMAIN: &str = "serverconfig";
/// 2.8's number for an invalid configuration without a number of its own.
pub(in crate::config) const INVALID: i32 = 701;

/// What has been found so far.
pub(super) struct Check<'a> {
    outline: &'a Outline,
    overridden: &'a BTreeSet<String>,
    data_plane: DataPlane,
    relaxed: BTreeSet<i32>,
    pub(super) faults: Vec<ConfigFault>,
    pub(super) notices: Vec<Notice>,
}

impl<'a> Check<'a> {
    pub(super) fn new(
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
    pub(super) fn fault(
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
        let fault = Fault::new(DOMAIN, code, description, remedy);
        self.faults.push(ConfigFault { key, position, fault });
    }

    /// Whether a key stands in the file.
    pub(super) fn is_written(&self, key: &str) -> bool {
        self.outline.contains(key)
    }

    /// Records a rule that only protects a real engine: with the emulated data plane it is one notice.
    pub(super) fn protect(
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
    pub(super) fn notice(&mut self, key: impl Into<String>, text: impl Into<String>) {
        let key = key.into();
        let position = self.outline.nearest_position(&key);
        self.notices.push(Notice { key, position, text: text.into() });
    }

    /// A whole number within a range; out of range is a fault and nothing.
    pub(super) fn number<T: TryFrom<i64> + Display>(
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
    pub(super) fn absolute(&mut self, key: &str, written: &str) -> Option<PathBuf> {
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
    pub(super) fn has_fault_at(&self, key: &str) -> bool {
        self.faults.iter().any(|fault| {
            fault
                .key
                .strip_prefix(key)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// Whether the storage of an engine was understood, so that rules about all of it can be applied.
    pub(super) fn storage_is_sound(&self, engine: &str) -> bool {
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

/// The text of a key, if it is written and not empty.
pub(super) fn text(written: Option<&String>) -> Option<&str> {
    written.map(String::as_str).filter(|text| !text.is_empty())
}
