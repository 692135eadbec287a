//! Calls into Intel's library, which is loaded when it is first needed. Every call is checked for being there.
//!
//! The library says nothing about threads: `gate` lets one caller in at a time, and the lock here is what proves it. It
//! is never unloaded.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int};
use std::sync::{Mutex, PoisonError};

use super::super::ffi::ipmctl_generated as raw;
use crate::ScmError;
use crate::error::LIBIPMCTL;
use crate::model::MemoryGoal;

pub(super) use raw::{config_goal, device_discovery, region};

/// What one module can hold of interleave sets.
pub(super) const SETS: usize = raw::MAX_IS_PER_DIMM as usize;

static LOADED: Mutex<Option<raw::LibIpmctl>> = Mutex::new(None);

/// The library, initialised; ends its session when dropped.
pub(super) struct Session<'a> {
    library: &'a raw::LibIpmctl,
}

/// Checks that the library has the function, then calls it.
macro_rules! call {
    ($library:expr, $name:ident ( $($argument:expr),* )) => {{
        let function = $library.$name.as_ref().map_err(|_| failed(stringify!($name), NO_SYMBOL))?;
        // SAFETY: the signature is that of the library's own header; pointers are to live objects of the size given.
        unsafe { function($($argument),*) }
    }};
}

/// An answer of ours: the library lacks the function.
const NO_SYMBOL: c_int = -1;

/// Runs `work` inside a session.
pub(super) fn with_session<T>(
    work: impl FnOnce(&Session<'_>) -> Result<T, ScmError>,
) -> Result<T, ScmError> {
    with_library(|library| {
        checked("nvm_init", call!(library, nvm_init()))?;
        let session = Session { library };
        work(&session)
    })
}

/// Version of the library, which needs no session.
pub(super) fn version() -> Result<String, ScmError> {
    with_library(|library| {
        let mut text = [0 as c_char; raw::NVM_VERSION_LEN as usize];
        let answer = call!(library, nvm_get_version(text.as_mut_ptr(), text.len()));
        checked("nvm_get_version", answer)?;
        Ok(string(&text))
    })
}

fn with_library<T>(
    work: impl FnOnce(&raw::LibIpmctl) -> Result<T, ScmError>,
) -> Result<T, ScmError> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if loaded.is_none() {
        // SAFETY: loading runs the library's initialisers, which it is trusted with as root's own package.
        let library = unsafe { raw::LibIpmctl::new(LIBIPMCTL) };
        *loaded = Some(library.map_err(|error| ScmError::MissingTool {
            tool: LIBIPMCTL.to_owned(),
            device: "persistent memory".into(),
            searched: format!("the loader's path ({error:?})"),
        })?);
    }
    match loaded.as_ref() {
        Some(library) => work(library),
        None => Err(ScmError::Internal { what: "a library that is not there".to_owned() }),
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if let Ok(function) = self.library.nvm_uninit.as_ref() {
            // SAFETY: takes nothing, and follows a successful nvm_init.
            unsafe { function() }
        }
    }
}

impl Session<'_> {
    /// Modules that the library knows, with all properties.
    pub(super) fn devices(&self) -> Result<Vec<device_discovery>, ScmError> {
        let mut count = 0;
        let answer = call!(self.library, nvm_get_number_of_devices(&raw mut count));
        checked("nvm_get_number_of_devices", answer)?;
        let places = u8::try_from(count).unwrap_or(u8::MAX);
        let mut devices: Vec<_> =
            std::iter::repeat_with(device_discovery::default).take(usize::from(places)).collect();
        if places > 0 {
            let answer = call!(self.library, nvm_get_devices(devices.as_mut_ptr(), places));
            checked("nvm_get_devices", answer)?;
        }
        Ok(devices)
    }

    /// Health of a module, as the number of the library.
    pub(super) fn health(&self, module: &device_discovery) -> Result<u8, ScmError> {
        let mut status = raw::device_status::default();
        let answer =
            call!(self.library, nvm_get_device_status(module.uid.as_ptr(), &raw mut status));
        checked("nvm_get_device_status", answer)?;
        Ok(status.health)
    }

    /// Regions of all modules.
    pub(super) fn regions(&self) -> Result<Vec<region>, ScmError> {
        let mut count = 0;
        let answer = call!(self.library, nvm_get_number_of_regions(&raw mut count));
        checked("nvm_get_number_of_regions", answer)?;
        let mut regions = vec![region::default(); usize::from(count)];
        if count > 0 {
            let answer = call!(self.library, nvm_get_regions(regions.as_mut_ptr(), &raw mut count));
            checked("nvm_get_regions", answer)?;
            regions.truncate(usize::from(count));
        }
        Ok(regions)
    }

    /// The goal of a module, if it has one.
    pub(super) fn goal(&self, module: &device_discovery) -> Result<Option<config_goal>, ScmError> {
        let mut uid = module.uid;
        let mut goal = config_goal::default();
        let answer = call!(self.library, nvm_get_config_goal(&raw mut uid, 1, &raw mut goal));
        if u32::try_from(answer) == Ok(raw::ANSWER_NO_GOAL) {
            return Ok(None);
        }
        checked("nvm_get_config_goal", answer)?;
        // Without a goal the library leaves the answer as it was.
        Ok((goal.dimm_uid[0] != 0).then_some(goal))
    }

    /// Sets the goal of modules.
    pub(super) fn create_goal(&self, modules: &[String], goal: MemoryGoal) -> Result<(), ScmError> {
        let mut uids = uids(modules)?;
        let mut input = raw::config_goal_input {
            persistent_mem_type: 1,
            volatile_percent: match goal {
                MemoryGoal::AppDirectInterleaved => 0,
                MemoryGoal::MemoryMode => 100,
            },
            namespace_label_major: 1,
            namespace_label_minor: 2,
            ..raw::config_goal_input::default()
        };
        let count = count(&uids);
        let answer =
            call!(self.library, nvm_create_config_goal(uids.as_mut_ptr(), count, &raw mut input));
        checked("nvm_create_config_goal", answer)
    }

    /// Drops the goals of modules.
    pub(super) fn delete_goals(&self, modules: &[String]) -> Result<(), ScmError> {
        let mut uids = uids(modules)?;
        let count = count(&uids);
        let answer = call!(self.library, nvm_delete_config_goal(uids.as_mut_ptr(), count));
        match u32::try_from(answer) {
            Ok(raw::ANSWER_NO_GOAL) => Ok(()),
            _ => checked("nvm_delete_config_goal", answer),
        }
    }
}

/// The ids as the library takes them. None at all would mean every module of the host.
fn uids(modules: &[String]) -> Result<Vec<raw::NVM_UID>, ScmError> {
    if modules.is_empty() {
        let what = "a goal for no modules".to_owned();
        return Err(ScmError::Internal { what });
    }
    let uid = |text: &String| {
        let mut uid: raw::NVM_UID = [0; raw::NVM_MAX_UID_LEN as usize];
        if text.is_empty() || text.len() >= uid.len() {
            let what = format!("a module with the id '{text}'");
            return Err(ScmError::Internal { what });
        }
        for (place, byte) in uid.iter_mut().zip(text.bytes()) {
            *place = c_char::from_ne_bytes([byte]);
        }
        Ok(uid)
    };
    modules.iter().map(uid).collect()
}

fn count(uids: &[raw::NVM_UID]) -> u32 {
    u32::try_from(uids.len()).unwrap_or(u32::MAX)
}

/// Text of a field, to its first zero byte or its end.
pub(super) fn string(field: &[c_char]) -> String {
    let bytes: Vec<u8> =
        field.iter().map(|each| each.to_ne_bytes()[0]).take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

fn checked(call: &'static str, answer: c_int) -> Result<(), ScmError> {
    match u32::try_from(answer) {
        Ok(raw::ANSWER_OK | raw::ANSWER_POWER_CYCLE) => Ok(()),
        _ => Err(failed(call, answer)),
    }
}

fn failed(call: &'static str, code: c_int) -> ScmError {
    let meaning = match u32::try_from(code) {
        Err(_) => "this version of it has no such function",
        Ok(raw::ANSWER_NO_PERMISSION) => "this process may not manage modules",
        Ok(raw::ANSWER_NAMESPACE_EXISTS) => "namespaces exist on the modules",
        Ok(raw::ANSWER_UNSUPPORTED) => "the platform does not support persistent memory",
        Ok(raw::ANSWER_NOT_FOUND) => "no such module",
        Ok(raw::ANSWER_UNKNOWN) => "it does not know why",
        Ok(_) => "see its return codes",
    };
    ScmError::ToolFailed { tool: LIBIPMCTL.to_owned(), call, code, meaning }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_modules_never_means_all_modules() {
        assert_eq!(uids(&[]).map_err(|error| error.code()), Err(200));
        assert_eq!(uids(&[String::new()]).map_err(|error| error.code()), Err(200));
        assert_eq!(uids(&["x".repeat(22)]).map_err(|error| error.code()), Err(200));
        let good = uids(&["8089-a2-1748-00000001".to_owned()]).expect("an id");
        assert_eq!(string(&good[0]), "8089-a2-1748-00000001");
    }

    #[test]
    fn answers_have_words() {
        let refused = checked("nvm_init", 268).expect_err("refused");
        assert_eq!(refused.code(), 1460);
        assert!(
            refused.to_string().contains("nvm_init answered 268 (this process may not"),
            "{refused}"
        );
        checked("nvm_init", 0).expect("success");
        assert!(failed("nvm_init", NO_SYMBOL).to_string().contains("no such function"));
    }
}
