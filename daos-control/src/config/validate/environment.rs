//! Rules of `NAME=value` lists and of what is passed through (R30, R33, E12).

use super::check::{Check, INVALID};
use crate::config::model::EnvVar;

/// Reads a list: malformed entries are dropped, the first of equal names is kept; both are noticed.
pub(super) fn variables(
    check: &mut Check<'_>,
    key: &str,
    written: Option<&Vec<String>>,
) -> Vec<EnvVar> {
    let mut variables: Vec<EnvVar> = Vec::new();
    for (index, entry) in written.into_iter().flatten().enumerate() {
        let path = format!("{key}[{index}]");
        let Some(variable) = variable(entry) else {
            check.notice(path, "left out: write NAME=value with a name and a value");
            continue;
        };
        if variables.iter().any(|other| other.name == variable.name) {
            check.notice(path, format!("left out: {} is given before", variable.name));
            continue;
        }
        variables.push(variable);
    }
    variables
}

/// Reads one entry, split at the first `=`; none without a name or a value.
pub(super) fn variable(entry: &str) -> Option<EnvVar> {
    let (name, value) = entry.split_once('=')?;
    if name.is_empty() || value.is_empty() || entry.contains('\0') {
        return None;
    }
    Some(EnvVar { name: name.to_owned(), value: value.to_owned() })
}

/// Reads the names of `env_pass_through`.
pub(super) fn pass_through(
    check: &mut Check<'_>,
    key: &str,
    written: Option<&Vec<String>>,
) -> Option<Vec<String>> {
    let written = written?;
    for (index, name) in written.iter().enumerate() {
        let path = format!("{key}[{index}]");
        if name.is_empty() || name.contains(['=', '\0']) {
            let text = format!("`{name}` is not the name of a variable");
            check.fault(path, INVALID, text, "list names only, without values");
        } else if name == "FI_OFI_RXM_USE_SRX" {
            check.fault(
                path,
                INVALID,
                "FI_OFI_RXM_USE_SRX is always set from `disable_srx`",
                "remove it here and use `disable_srx`",
            );
        }
    }
    Some(written.clone())
}
