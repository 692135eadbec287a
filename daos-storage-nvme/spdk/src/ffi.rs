//! The calls of the shim, and its values made into ours. The only place with unsafe code.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::mem::MaybeUninit;

use crate::{Controller, Health, Namespace, SpdkError};

#[allow(missing_docs, non_camel_case_types, non_upper_case_globals, dead_code, clippy::all)]
mod shim {
    include!(concat!(env!("OUT_DIR"), "/shim.rs"));
}

/// Huge pages that the environment takes.
const MEMORY_MIB: i32 = 64;
const EINVAL: i32 = 22;

/// Starts the environment; once, and on the thread that also calls [`look`].
pub fn start() -> Result<(), SpdkError> {
    // SAFETY: the name ends with a zero byte and lives for ever. Only `thread::serve` calls this, once.
    let status = unsafe { shim::daos_spdk_start(c"daos_server".as_ptr(), MEMORY_MIB) };
    if status == 0 { Ok(()) } else { Err(SpdkError::NotStarted { errno: -status }) }
}

/// Looks at one controller, after a start that went well.
pub fn look(address: &str, health: bool) -> Result<Controller, SpdkError> {
    let address = CString::new(address).map_err(|_| SpdkError::BadAddress)?;
    let mut found = MaybeUninit::<shim::daos_spdk_controller>::zeroed();
    // SAFETY: the address ends with a zero byte and outlives the call, the structure is writable and of the type of the header, and
    // this is the thread that started the environment.
    let status =
        unsafe { shim::daos_spdk_look(address.as_ptr(), i32::from(health), found.as_mut_ptr()) };
    // SAFETY: all fields are integers, and zero is a value of each; what the shim wrote besides are integers too.
    let found = unsafe { found.assume_init() };
    match -status {
        0 => Ok(controller(&found)),
        EINVAL => Err(SpdkError::BadAddress),
        errno => Err(SpdkError::NotAttached { errno }),
    }
}

fn controller(found: &shim::daos_spdk_controller) -> Controller {
    let known = usize::try_from(found.namespaces).unwrap_or(usize::MAX);
    let namespace = |one: &shim::daos_spdk_namespace| Namespace {
        id: one.id,
        block_bytes: one.block_bytes,
        bytes: one.bytes,
    };
    Controller {
        model: text(&found.model),
        serial: text(&found.serial),
        firmware: text(&found.firmware),
        namespaces: found.namespace_.iter().take(known).map(namespace).collect(),
        health: (found.has_health != 0).then(|| health(&found.health)),
    }
}

fn text(padded: &[u8]) -> String {
    String::from_utf8_lossy(padded).trim_matches(['\0', ' ']).to_owned()
}

fn health(found: &shim::daos_spdk_health) -> Health {
    Health {
        warnings: found.warnings,
        temperature_kelvin: found.temperature_kelvin,
        warning_minutes: found.warning_minutes,
        critical_minutes: found.critical_minutes,
        busy_minutes: found.busy_minutes,
        power_cycles: found.power_cycles,
        power_on_hours: found.power_on_hours,
        unsafe_shutdowns: found.unsafe_shutdowns,
        media_errors: found.media_errors,
        error_log_entries: found.error_log_entries,
    }
}
