//! Rules of log levels and masks (R49-R52).

use std::path::PathBuf;

use super::check::{Check, INVALID, text};
use crate::config::defaults::DEFAULT_CONTROL_LOG_MASK;
use crate::config::model::{ControlLog, ControlLogMask, EnvVar};
use crate::config::raw::RawConfig;
use crate::engine_command::log_mask::{LogMask, check_streams, parse_subsystems};

const LEVELS: &str = "use TRACE, DEBUG, INFO, NOTICE, ERROR or DISABLED";
const MASKS: &str =
    "write a level, then `subsystem=LEVEL` words: `ERR,mgmt=DEBUG`; see docs/config/README.md";

pub(super) fn control(check: &mut Check<'_>, raw: &RawConfig) -> ControlLog {
    let written = raw.control_log_mask.as_deref().unwrap_or(DEFAULT_CONTROL_LOG_MASK);
    let mask = ControlLogMask::parse(written);
    if mask.is_none() {
        check.fault("control_log_mask", INVALID, format!("`{written}` is not a level"), LEVELS);
    }
    ControlLog {
        mask: mask.unwrap_or_default(),
        file: text(raw.control_log_file.as_ref()).map(PathBuf::from),
        json: raw.control_log_json.unwrap_or(false),
    }
}

/// The log mask of an engine, in the form in which it is printed.
pub(super) fn engine_mask(
    check: &mut Check<'_>,
    key: &str,
    written: Option<&String>,
) -> Option<String> {
    match text(written)?.parse::<LogMask>() {
        Ok(mask) => Some(mask.to_string()),
        Err(error) => {
            check.fault(key, INVALID, format!("log mask: {error}"), MASKS);
            None
        }
    }
}

/// Masks that stand in `env_vars`.
pub(super) fn variables(
    check: &mut Check<'_>,
    key: &str,
    written: Option<&Vec<String>>,
    kept: &[EnvVar],
) {
    for variable in kept {
        let error = match variable.name.as_str() {
            "D_LOG_MASK" => variable.value.parse::<LogMask>().err(),
            "DD_SUBSYS" => parse_subsystems(&variable.value).err(),
            "DD_MASK" => check_streams(&variable.value).err(),
            _ => None,
        };
        let Some(error) = error else { continue };
        let text = variable.to_string();
        let index = written.into_iter().flatten().position(|entry| *entry == text).unwrap_or(0);
        check.fault(
            format!("{key}[{index}]"),
            INVALID,
            format!("{}: {error}", variable.name),
            MASKS,
        );
    }
}
