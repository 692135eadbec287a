//! The calls of libfabric that a scan needs, found at run time. By hand: of its structures only the first fields are read, which every
//! version 1 has at the same places (`fi_getinfo(3)`), while what follows them differs. Only `libfabric` uses this.
#![allow(unsafe_code)] // a library in C

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::{Mutex, OnceLock, PoisonError};

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

/// Name of the library on every Linux; version 1 of its interface.
const LIBRARY: &str = "libfabric.so.1";
/// The oldest interface that has all of this: version 1.5, as `FI_VERSION` packs it.
const INTERFACE: u32 = (1 << 16) | 5;

/// First fields of `struct fi_info`.
#[repr(C)]
struct Info {
    next: *mut Info,
    /// Capabilities, modes, lengths, addresses, handle and the attributes of endpoints.
    unread: [u64; 11],
    domain: *const Named,
    fabric: *const FabricAttributes,
}

/// First fields of `struct fi_domain_attr`.
#[repr(C)]
struct Named {
    object: *const c_void,
    name: *const c_char,
}

/// First fields of `struct fi_fabric_attr`.
#[repr(C)]
struct FabricAttributes {
    fabric: Named,
    provider: *const c_char,
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(std::mem::offset_of!(Info, domain) == 96);
    assert!(std::mem::offset_of!(Info, fabric) == 104);
    assert!(std::mem::offset_of!(Named, name) == 8);
    assert!(std::mem::offset_of!(FabricAttributes, provider) == 16);
};

type GetInfo = unsafe extern "C" fn(
    u32,
    *const c_char,
    *const c_char,
    u64,
    *const Info,
    *mut *mut Info,
) -> c_int;
type FreeInfo = unsafe extern "C" fn(*mut Info);
type Version = unsafe extern "C" fn() -> u32;

struct Calls {
    get: GetInfo,
    free: FreeInfo,
    version: Version,
}

/// What was asked of the library.
pub(super) struct Answer {
    /// Version of the library, major and minor.
    pub version: (u32, u32),
    /// Provider and domain of each way it offers; a negative number when it refused.
    pub ways: Result<Vec<(String, String)>, i32>,
}

/// Asks the library; `None` where it is not installed.
pub(super) fn ask() -> Option<Answer> {
    // Loaded once and never unloaded: providers leave threads behind.
    static CALLS: OnceLock<Option<Calls>> = OnceLock::new();
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let _handlers = SignalHandlers::save();
    let calls = CALLS.get_or_init(load).as_ref()?;
    // SAFETY: the function takes nothing.
    let version = unsafe { (calls.version)() };
    Some(Answer { version: (version >> 16, version & 0xffff), ways: ways(calls) })
}

/// The handlers of signals as they were. Some providers (psm2, psm3) put their own in place of ours when they are looked at, and a
/// server would end at a SIGTERM without a word. Put back when this goes.
struct SignalHandlers(Vec<(c_int, libc::sigaction)>);

impl SignalHandlers {
    fn save() -> Self {
        let save = |signal: c_int| {
            // SAFETY: all zeros is a valid value, which the call replaces.
            let mut handler: libc::sigaction = unsafe { std::mem::zeroed() };
            // SAFETY: without a new handler nothing changes; `handler` is a valid place for the old one.
            let status = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut handler) };
            (status == 0).then_some((signal, handler))
        };
        Self((1..=libc::SIGSYS).filter_map(save).collect())
    }
}

impl Drop for SignalHandlers {
    fn drop(&mut self) {
        for (signal, handler) in &self.0 {
            // SAFETY: the handler was in force before. SIGKILL and SIGSTOP are refused, which changes nothing.
            unsafe { libc::sigaction(*signal, handler, std::ptr::null_mut()) };
        }
    }
}

fn load() -> Option<Calls> {
    // SAFETY: libfabric's initialisers register its providers and touch nothing of ours.
    let library = unsafe { Library::open(Some(LIBRARY), RTLD_NOW | RTLD_LOCAL) }.ok()?;
    // SAFETY: the types are those of `fi_getinfo(3)` and `fi_version(3)`.
    let calls = unsafe {
        Calls {
            get: *library.get::<GetInfo>(b"fi_getinfo\0").ok()?,
            free: *library.get::<FreeInfo>(b"fi_freeinfo\0").ok()?,
            version: *library.get::<Version>(b"fi_version\0").ok()?,
        }
    };
    std::mem::forget(library);
    Some(calls)
}

fn ways(calls: &Calls) -> Result<Vec<(String, String)>, i32> {
    let mut head: *mut Info = std::ptr::null_mut();
    let nothing = std::ptr::null();
    // SAFETY: no node, service or hints is a question after everything; `head` is a valid place for the list.
    let status =
        unsafe { (calls.get)(INTERFACE, nothing, nothing, 0, std::ptr::null(), &raw mut head) };
    if status != 0 {
        return Err(status);
    }
    let mut ways = Vec::new();
    let mut next = head.cast_const();
    // SAFETY: the library made the list; it is well formed until it is freed below.
    while let Some(info) = unsafe { next.as_ref() } {
        // SAFETY: attributes are null or live as long as the list.
        let (fabric, domain) = unsafe { (info.fabric.as_ref(), info.domain.as_ref()) };
        if let (Some(fabric), Some(domain)) = (fabric, domain) {
            ways.extend(text(fabric.provider).zip(text(domain.name)));
        }
        next = info.next;
    }
    // SAFETY: the list came from fi_getinfo and is freed once; nothing refers into it any more.
    unsafe { (calls.free)(head) };
    Ok(ways)
}

fn text(place: *const c_char) -> Option<String> {
    if place.is_null() {
        return None;
    }
    // SAFETY: names in the list are texts that end with a zero byte and live as long as it.
    Some(unsafe { CStr::from_ptr(place) }.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::SignalHandlers;

    extern "C" fn handler(_: libc::c_int) {}

    fn current() -> libc::sighandler_t {
        SignalHandlers::save()
            .0
            .iter()
            .find(|(signal, _)| *signal == libc::SIGWINCH)
            .unwrap()
            .1
            .sa_sigaction
    }

    #[test]
    fn handlers_that_a_library_replaced_are_put_back() {
        let before = current();
        let saved = SignalHandlers::save();
        // SAFETY: the handler does nothing.
        unsafe { libc::signal(libc::SIGWINCH, handler as *const () as libc::sighandler_t) };
        assert_ne!(current(), before);
        drop(saved);
        assert_eq!(current(), before);
    }
}
