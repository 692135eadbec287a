//! Limits of texts and lists that come from outside, so that no request fills memory, logs or the database.

use std::collections::BTreeMap;

use crate::fault::{Fault, code};
use crate::wire::CallError;

/// Most characters of a name in an attribute or property.
const LONGEST_KEY: usize = 512;
/// Most bytes of a value in an attribute or property.
const LONGEST_VALUE: usize = 64 << 10;
/// Most pairs in one request.
const MOST_PAIRS: usize = 4096;

/// Refuses a text of more than `longest` bytes, naming its field.
///
/// # Errors
/// Fault 1366.
pub fn bounded(field: &str, text: String, longest: usize) -> Result<String, CallError> {
    if text.len() <= longest {
        return Ok(text);
    }
    Err(unusable(field, format!("{} bytes are more than {longest}", text.len())))
}

/// Refuses a map of names and values that is larger than any real one.
///
/// # Errors
/// Fault 1366.
pub fn bounded_map(
    field: &str,
    map: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, CallError> {
    if map.len() > MOST_PAIRS {
        return Err(unusable(field, format!("{} pairs are more than {MOST_PAIRS}", map.len())));
    }
    map.into_iter()
        .map(|(key, value)| {
            Ok((bounded(field, key, LONGEST_KEY)?, bounded(field, value, LONGEST_VALUE)?))
        })
        .collect()
}

/// The refusal of a field.
pub(super) fn unusable(field: &str, why: impl std::fmt::Display) -> CallError {
    CallError::Fault(Fault::new(
        "server",
        code::REQUEST_MALFORMED,
        format!("field {field} of the request cannot be used: {why}"),
        "check the client that sent it; dmg and stock clients send usable fields",
    ))
}
