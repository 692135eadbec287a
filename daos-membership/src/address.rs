//! Where a host's control server listens.
//!
//! A plain value used by members and requests. Names are resolved by the caller; nothing here touches the
//! network.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::AddressSyntaxError;

/// The port a control server listens on when none is named (contract 10.5).
pub const DEFAULT_CONTROL_PORT: u16 = 10001;

/// Where a host's control server listens: `ip:port`. All engines of a host share it (R158, R160).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ControlAddress(SocketAddr);

impl ControlAddress {
    /// The address, with an IPv4 address written as IPv6 turned back, so that one host has one address.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }

    /// Its IP address.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        self.0.ip()
    }

    /// Its port.
    #[must_use]
    pub fn port(self) -> u16 {
        self.0.port()
    }

    /// As a socket address, to connect to.
    #[must_use]
    pub fn socket(self) -> SocketAddr {
        self.0
    }
}

impl From<SocketAddr> for ControlAddress {
    fn from(address: SocketAddr) -> Self {
        Self::new(address)
    }
}

impl fmt::Display for ControlAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ControlAddress {
    type Err = AddressSyntaxError;

    /// Reads `ip:port`, or an IP alone for port [`DEFAULT_CONTROL_PORT`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self::new(address));
        }
        text.parse::<IpAddr>()
            .map(|ip| Self::new(SocketAddr::new(ip, DEFAULT_CONTROL_PORT)))
            .map_err(|_| AddressSyntaxError { text: text.to_owned() })
    }
}

impl TryFrom<String> for ControlAddress {
    type Error = AddressSyntaxError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ControlAddress> for String {
    fn from(address: ControlAddress) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_form() {
        let plain: ControlAddress = "10.0.0.1:10001".parse().unwrap();
        assert_eq!("10.0.0.1".parse::<ControlAddress>().unwrap(), plain);
        assert_eq!("[::ffff:10.0.0.1]:10001".parse::<ControlAddress>().unwrap(), plain);
        assert_eq!(plain.to_string(), "10.0.0.1:10001");
        assert!("host:1".parse::<ControlAddress>().is_err());
    }
}
