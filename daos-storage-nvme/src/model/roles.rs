//! What a tier of block devices holds when metadata lives on disk.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::BdevError;

/// One role of a tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Data; bit 1.
    Data,
    /// Metadata; bit 2.
    Meta,
    /// Write-ahead log; bit 4.
    Wal,
}

impl Role {
    /// Its bit in a device's name (contract 5.3).
    #[must_use]
    pub fn bit(self) -> u8 {
        match self {
            Self::Data => 1,
            Self::Meta => 2,
            Self::Wal => 4,
        }
    }
}

/// A set of roles, 0 to 7 as the engine reads it; empty without metadata on disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Roles(u8);

impl Roles {
    /// No role.
    pub const NONE: Self = Self(0);

    /// The sum of the role bits.
    #[must_use]
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Whether no role is given.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a role is among them.
    #[must_use]
    pub fn contains(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// Parses the names of a configuration file; `na` means none.
    ///
    /// # Errors
    /// [`BdevError::UnknownRole`] (308) naming the first unknown one.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, BdevError> {
        names.into_iter().try_fold(Self::NONE, |roles, name| match name {
            "na" => Ok(roles),
            _ => Ok(Self(roles.0 | name.parse::<Role>()?.bit())),
        })
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(roles.into_iter().fold(0, |bits, role| bits | role.bit()))
    }
}

impl TryFrom<u8> for Roles {
    type Error = BdevError;

    /// Takes 0 to 7.
    fn try_from(bits: u8) -> Result<Self, BdevError> {
        if bits <= 7 {
            Ok(Self(bits))
        } else {
            Err(BdevError::UnknownRole { name: bits.to_string() })
        }
    }
}

impl From<Roles> for u8 {
    fn from(roles: Roles) -> Self {
        roles.0
    }
}

impl FromStr for Role {
    type Err = BdevError;

    fn from_str(name: &str) -> Result<Self, BdevError> {
        match name {
            "data" => Ok(Self::Data),
            "meta" => Ok(Self::Meta),
            "wal" => Ok(Self::Wal),
            _ => Err(BdevError::UnknownRole { name: name.to_owned() }),
        }
    }
}

impl fmt::Display for Roles {
    /// Names joined by commas, `na` for none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [(Role::Data, "data"), (Role::Meta, "meta"), (Role::Wal, "wal")];
        let names: Vec<&str> =
            named.into_iter().filter(|(role, _)| self.contains(*role)).map(|(_, n)| n).collect();
        f.write_str(if names.is_empty() { "na" } else { "" })?;
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_bits_agree() {
        let all = Roles::parse(["wal", "meta", "data"]).expect("all");
        assert_eq!((all.bits(), all.to_string().as_str()), (7, "data,meta,wal"));
        assert_eq!(Roles::parse(["na"]).expect("none").to_string(), "na");
        assert_eq!(Roles::parse(["log"]).expect_err("unknown").code(), 308);
        assert_eq!(Roles::try_from(8).expect_err("too many").code(), 308);
        assert_eq!(Roles::from_iter([Role::Meta, Role::Wal]).bits(), 6);
    }
}
