//! What a check found: plain values, the same on the host that was looked at and where an administrator reads them.

use serde::Serialize;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The rule holds.
    Ok,
    /// Something to be known; nothing has to be done.
    Notice,
    /// It works, and worse than it should, or not for long.
    Warning,
    /// What is configured cannot work on this host.
    Error,
}

impl Severity {
    /// From the least to the worst.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Notice, Self::Warning, Self::Error];

    /// One word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What was read, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// File, system call or command.
    pub source: String,
    /// What it said.
    pub seen: String,
}

/// What one rule found about one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable name of the rule, e.g. `hugepages`.
    pub rule: String,
    /// How much it matters.
    pub severity: Severity,
    /// Fault number; 0 where the rule holds.
    #[serde(rename = "fault", skip_serializing_if = "is_zero")]
    pub code: i32,
    /// What it is about, e.g. `node 0`; empty for the host as a whole.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// What was found.
    pub text: String,
    /// Key of the configuration that asks for it; empty when none does.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// Line of that key, or of the nearest one around it that is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// What was read where.
    pub evidence: Vec<Evidence>,
    /// A command or a line of configuration that makes the rule hold; empty where it does.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fix: String,
}

fn is_zero(code: &i32) -> bool {
    *code == 0
}
