//! The one system call that lists addresses by interface.
#![allow(unsafe_code)] // getifaddrs has no safe wrapper among our dependencies

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::io;
use std::net::Ipv4Addr;

/// IPv4 addresses of this network namespace by interface name, each list ascending.
pub(super) fn addresses() -> io::Result<BTreeMap<String, Vec<Ipv4Addr>>> {
    let mut head: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: `head` is a valid place for the pointer; the list is freed below, on the only way out.
    if unsafe { libc::getifaddrs(&raw mut head) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found: BTreeMap<String, Vec<Ipv4Addr>> = BTreeMap::new();
    let mut next = head.cast_const();
    // SAFETY: the kernel's library made the list, it is well formed until it is freed, and nothing else frees it.
    while let Some(entry) = unsafe { next.as_ref() } {
        if let Some((name, address)) = ipv4(entry) {
            found.entry(name).or_default().push(address);
        }
        next = entry.ifa_next;
    }
    // SAFETY: `head` came from getifaddrs and is freed once; no reference into the list is left.
    unsafe { libc::freeifaddrs(head) };
    found.values_mut().for_each(|list| list.sort());
    Ok(found)
}

fn ipv4(entry: &libc::ifaddrs) -> Option<(String, Ipv4Addr)> {
    // SAFETY: `ifa_addr` is null or points to a socket address that lives as long as the entry.
    let family = unsafe { entry.ifa_addr.as_ref() }?.sa_family;
    if i32::from(family) != libc::AF_INET {
        return None;
    }
    // SAFETY: family AF_INET says that it is a sockaddr_in; read unaligned since nothing promises alignment.
    let address = unsafe { entry.ifa_addr.cast::<libc::sockaddr_in>().read_unaligned() };
    // SAFETY: `ifa_name` is a NUL-terminated text that lives as long as the entry.
    let name = unsafe { CStr::from_ptr(entry.ifa_name) };
    Some((
        name.to_string_lossy().into_owned(),
        Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)),
    ))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    #[test]
    fn loopback_has_its_address() {
        let found = super::addresses().expect("addresses");
        assert!(
            found.values().flatten().any(|address| *address == Ipv4Addr::LOCALHOST),
            "{found:?}"
        );
    }
}
