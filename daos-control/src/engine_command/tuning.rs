//! Variables that an engine of a certain storage class or provider needs (contract 4.3).
//!
//! Used when a configuration is checked and when an engine's environment is made.

use crate::config::{EngineConfig, EnvVar, ScmTier};

/// Smallest stack of an Argobots thread, bytes, with persistent memory.
const STACK_DCPM: u64 = 20_480;
/// The same with metadata on disk.
const STACK_METADATA_ON_DISK: u64 = 24_576;
/// The same with a provider of the UCX family.
const STACK_UCX: u64 = 32_768;

const PMEMOBJ_CONF: &str = "PMEMOBJ_CONF";
const STACK_SIZE: &str = "ABT_THREAD_STACKSIZE";
const SHUTDOWN_STATE: &str = "sds.at_create";

/// A variable whose given value the engine could not work with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {problem}")]
pub struct TuningError {
    /// Its name.
    pub variable: &'static str,
    /// What is wrong with its value.
    pub problem: String,
}

/// The variables to set over those that `given` already has.
///
/// # Errors
/// A given value that contradicts what the engine needs.
pub fn variables<'a>(
    engine: &EngineConfig,
    given: impl Fn(&str) -> Option<&'a str>,
) -> Result<Vec<EnvVar>, TuningError> {
    let mut variables = Vec::new();
    variables.extend(pmemobj(engine, given(PMEMOBJ_CONF))?);
    variables.extend(stack(engine, given(STACK_SIZE))?);
    Ok(variables)
}

/// Persistent memory keeps a shutdown state that RAM cannot have.
fn pmemobj(engine: &EngineConfig, given: Option<&str>) -> Result<Option<EnvVar>, TuningError> {
    let setting = given.unwrap_or_default().split(';').find_map(|word| {
        let (name, value) = word.split_once('=')?;
        (name.trim() == SHUTDOWN_STATE).then_some(value.trim())
    });
    let refused =
        |problem: &str| TuningError { variable: PMEMOBJ_CONF, problem: problem.to_owned() };
    match (&engine.scm, setting) {
        (ScmTier::Dcpm { .. }, None) | (ScmTier::Ram { .. }, Some("0")) => Ok(None),
        (ScmTier::Dcpm { .. }, Some(_)) => {
            Err(refused("`sds.at_create` must not be set with class dcpm"))
        }
        (ScmTier::Ram { .. }, Some(_)) => Err(refused("`sds.at_create` must be 0 with class ram")),
        (ScmTier::Ram { .. }, None) => {
            let disabled = format!("{SHUTDOWN_STATE}=0");
            let value = match given.filter(|text| !text.is_empty()) {
                Some(text) => format!("{text};{disabled}"),
                None => disabled,
            };
            Ok(Some(EnvVar { name: PMEMOBJ_CONF.to_owned(), value }))
        }
    }
}

fn stack(engine: &EngineConfig, given: Option<&str>) -> Result<Option<EnvVar>, TuningError> {
    let needs = [
        (engine.fabric.provider.starts_with("ucx+"), STACK_UCX),
        (matches!(engine.scm, ScmTier::Dcpm { .. }), STACK_DCPM),
        (engine.has_roles(), STACK_METADATA_ON_DISK),
    ];
    let mut needed = needs.iter().filter(|(applies, _)| *applies).map(|(_, bytes)| *bytes);
    let Some(first) = needed.next() else { return Ok(None) };
    let Some(text) = given else {
        return Ok(Some(EnvVar { name: STACK_SIZE.to_owned(), value: first.to_string() }));
    };
    let least = needed.fold(first, u64::max);
    let problem = match text.parse::<u64>() {
        Ok(bytes) if bytes >= least => return Ok(None),
        Ok(bytes) => format!("{bytes} bytes, at least {least} are needed"),
        Err(_) => format!("`{text}` is not a number of bytes"),
    };
    Err(TuningError { variable: STACK_SIZE, problem })
}
