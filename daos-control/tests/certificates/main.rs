//! Certificates: files, handshakes, access, reloading, and what attackers do to the port (issue of many hosts, section 3).

mod access;
mod attacks;
mod files;
mod fixture;
mod handshakes;
#[cfg(feature = "tls-openssl")]
mod openssl;
mod paths;
mod reload;
