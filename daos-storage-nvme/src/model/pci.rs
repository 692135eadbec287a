//! `PciAddress`: the address of a controller, in the one spelling that everything else compares.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::BdevError;

/// Address of a PCI function, `dddd:bb:dd.f` in lower-case hexadecimal, or of a device behind an Intel volume
/// management device (VMD), `xxxxxx:bb:dd.f`, where the six digits are bus, device and function of the VMD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PciAddress {
    domain: Domain,
    bus: u8,
    device: u8,
    function: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Domain {
    Pci(u16),
    Vmd { bus: u8, device: u8, function: u8 },
}

impl PciAddress {
    /// Bus number, 0 to 255; of a device behind a VMD the bus inside its domain.
    #[must_use]
    pub fn bus(&self) -> u8 {
        self.bus
    }

    /// The address of the VMD this device is behind, if it is behind one. VMDs are in domain 0.
    #[must_use]
    pub fn vmd(&self) -> Option<Self> {
        match self.domain {
            Domain::Pci(_) => None,
            Domain::Vmd { bus, device, function } => {
                Some(Self { domain: Domain::Pci(0), bus, device, function })
            }
        }
    }
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.domain {
            Domain::Pci(domain) => write!(f, "{domain:04x}")?,
            Domain::Vmd { bus, device, function } => {
                write!(f, "{bus:02x}{device:02x}{function:02x}")?
            }
        }
        write!(f, ":{:02x}:{:02x}.{:x}", self.bus, self.device, self.function)
    }
}

impl FromStr for PciAddress {
    type Err = BdevError;

    /// Takes the full form only, in either case: a short `81:00.0` leaves the domain to a guess.
    fn from_str(text: &str) -> Result<Self, BdevError> {
        parse(text).ok_or_else(|| BdevError::BadPciAddress { text: text.to_owned() })
    }
}

fn parse(text: &str) -> Option<PciAddress> {
    let (domain, rest) = text.split_once(':')?;
    let (bus, rest) = rest.split_once(':')?;
    let (device, function) = rest.split_once('.')?;
    let domain = match domain.len() {
        4 => Domain::Pci(u16::try_from(hex(domain, 4, 0xffff)?).ok()?),
        6 if domain.is_ascii() => Domain::Vmd {
            bus: byte(&domain[..2], 2, 0xff)?,
            device: byte(&domain[2..4], 2, 0x1f)?,
            function: byte(&domain[4..], 2, 7)?,
        },
        _ => return None,
    };
    Some(PciAddress {
        domain,
        bus: byte(bus, 2, 0xff)?,
        device: byte(device, 2, 0x1f)?,
        function: byte(function, 1, 7)?,
    })
}

fn hex(text: &str, digits: usize, max: u32) -> Option<u32> {
    // `from_str_radix` alone would take a sign.
    let well_formed = text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
    let value = well_formed.then(|| u32::from_str_radix(text, 16).ok())??;
    (value <= max).then_some(value)
}

fn byte(text: &str, digits: usize, max: u32) -> Option<u8> {
    u8::try_from(hex(text, digits, max)?).ok()
}

impl Serialize for PciAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PciAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Addresses without repetition, in ascending order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PciAddressSet(BTreeSet<PciAddress>);

impl PciAddressSet {
    /// Parses a list; every entry must be an address and none may occur twice (305).
    ///
    /// # Errors
    /// [`BdevError::BadPciAddress`] or [`BdevError::DuplicateDevice`] for the first that is wrong.
    pub fn parse<'a>(list: impl IntoIterator<Item = &'a str>) -> Result<Self, BdevError> {
        let mut set = BTreeSet::new();
        for text in list {
            let address: PciAddress = text.parse()?;
            if !set.insert(address) {
                return Err(BdevError::DuplicateDevice { device: address.to_string() });
            }
        }
        Ok(Self(set))
    }

    /// Whether the address is in the set.
    #[must_use]
    pub fn contains(&self, address: &PciAddress) -> bool {
        self.0.contains(address)
    }

    /// The addresses of this set that are not in the other, e.g. configured ones that no scan found (R56).
    #[must_use]
    pub fn missing_from(&self, other: &Self) -> Vec<PciAddress> {
        self.0.difference(&other.0).copied().collect()
    }

    /// The addresses in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = &PciAddress> {
        self.0.iter()
    }
}

impl FromIterator<PciAddress> for PciAddressSet {
    fn from_iter<I: IntoIterator<Item = PciAddress>>(addresses: I) -> Self {
        Self(addresses.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_forms_are_read_and_printed_in_lower_case() {
        let plain: PciAddress = "0000:8A:00.0".parse().expect("full form");
        assert_eq!(plain.to_string(), "0000:8a:00.0");
        assert_eq!(plain.vmd(), None);
        let behind: PciAddress = "5d0505:01:00.0".parse().expect("VMD form");
        assert_eq!(behind.to_string(), "5d0505:01:00.0");
        assert_eq!(behind.vmd().expect("a VMD").to_string(), "0000:5d:05.5");
    }

    #[test]
    fn anything_else_is_refused_with_303() {
        for bad in [
            "",
            "81:00.0",
            "0000:81:00",
            "0000:81:20.0",
            "0000:81:00.8",
            "0000:81:00.00",
            "+000:81:00.0",
            "00000:81:00.0",
            "0000:81:00.0 ",
            "5d2005:01:00.0",
            "5d0508:01:00.0",
            "é000:81:00.0",
            "ééé:01:00.0",
        ] {
            let error = bad.parse::<PciAddress>().expect_err(bad);
            assert_eq!(error.code(), 303, "{bad}");
        }
    }

    #[test]
    fn sets_name_duplicates_and_what_is_missing() {
        let error = PciAddressSet::parse(["0000:81:00.0", "0000:81:00.0"]).expect_err("twice");
        assert_eq!(error.code(), 305);
        let wanted = PciAddressSet::parse(["0000:82:00.0", "0000:81:00.0"]).expect("two");
        let found = PciAddressSet::parse(["0000:81:00.0"]).expect("one");
        assert_eq!(wanted.missing_from(&found), ["0000:82:00.0".parse().expect("address")]);
    }

    proptest! {
        #[test]
        fn printing_and_parsing_are_inverse(d: u16, bus: u8, device in 0u8..32, function in 0u8..8, vmd: bool) {
            let text = if vmd {
                format!("{:02x}{:02x}{:02x}:{bus:02x}:{device:02x}.{function:x}", d >> 8, device, function)
            } else {
                format!("{d:04x}:{bus:02x}:{device:02x}.{function:x}")
            };
            prop_assert_eq!(text.parse::<PciAddress>().expect("address").to_string(), text);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,16}") {
            let _ = text.parse::<PciAddress>();
        }
    }
}
