//! The value of a superblock and its YAML text (contract 5.2). Pure: no files.

use std::fmt::Write as _;

use serde::Deserialize;
use uuid::Uuid;

use super::SuperblockError;

/// The version we write. Version 0 is the seed's form, still read.
pub(super) const VERSION: u8 = 1;
/// The number that means "no rank" on the wire and must not stand in the file (E8).
const NIL_RANK: u32 = u32::MAX;

/// Identity of one engine's storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    /// Identity of this storage, made at format, never changed (contract 5.2).
    pub uuid: Uuid,
    /// Name of the system it belongs to.
    pub system: String,
    /// Identity of the system it belongs to, once known. A key of our own, which stock servers ignore.
    pub system_uuid: Option<Uuid>,
    /// Rank, 0 to 2^32-2; `None` until one was assigned. Distinct from rank 0 (E8).
    pub rank: Option<u32>,
    /// Fabric URI of the last join; empty before.
    pub uri: String,
    /// Whether `rank` was confirmed by a join.
    pub valid_rank: bool,
    /// Fault domain of the host at the last join, e.g. `/node1`; empty before.
    pub host_fault_domain: String,
    /// Incarnation of the engine at the last join; 0 before.
    pub incarnation: u64,
    /// Whether the engine is to take the place of a lost one when it joins: formatted so, not joined since. A key of
    /// our own, which stock servers ignore.
    pub replace: bool,
    /// Block devices that the engine was given: at its format, and since. Empty when that was not written down. A key of our own,
    /// which stock servers ignore, and lose when they write.
    pub devices: Vec<GivenDevice>,
    /// Roles which only the seed's form stores. Read for migration, not written again.
    pub seed_roles: Option<SeedRoles>,
}

/// One block device that an engine was given.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct GivenDevice {
    /// PCI address or path, as in the configuration then.
    pub name: String,
    /// What names the physical thing (serial number or WWN), where it has such a name.
    #[serde(default)]
    pub serial: Option<String>,
    /// It is in the configuration no more; its contents may still be the engine's.
    #[serde(default)]
    pub removed: bool,
}

/// Management-service roles as the superblock of the older design holds them (R152).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SeedRoles {
    /// The instance is a management-service replica.
    pub replica: bool,
    /// The replica still has to create its database.
    pub create: bool,
    /// That replica is the one that bootstraps the system.
    pub bootstrap: bool,
}

impl Superblock {
    /// A superblock as a format writes it: new identity, no rank (contract 7.4).
    #[must_use]
    pub fn new(uuid: Uuid, system: impl Into<String>) -> Self {
        Self {
            uuid,
            system: system.into(),
            system_uuid: None,
            rank: None,
            uri: String::new(),
            valid_rank: false,
            host_fault_domain: String::new(),
            incarnation: 0,
            replace: false,
            devices: Vec::new(),
            seed_roles: None,
        }
    }

    /// The rank that a join confirmed, if any.
    #[must_use]
    pub fn joined_rank(&self) -> Option<u32> {
        self.rank.filter(|_| self.valid_rank)
    }

    /// The YAML text with the keys of 2.8. Ours stands before `validrank`, which every reader needs, so that a
    /// file cut short is noticed and never read as one without a system.
    ///
    /// # Errors
    /// [`SuperblockError::RankOutOfRange`] for rank 2^32-1.
    pub fn to_yaml(&self) -> Result<String, SuperblockError> {
        if self.rank == Some(NIL_RANK) {
            return Err(SuperblockError::RankOutOfRange);
        }
        let rank = self.rank.map_or_else(|| "null".to_owned(), |rank| rank.to_string());
        let mut text = format!(
            "version: {VERSION}\nuuid: {}\nsystem: {}\nrank: {rank}\nuri: {}\n",
            self.uuid,
            scalar(&self.system),
            scalar(&self.uri),
        );
        if let Some(system_uuid) = self.system_uuid {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "systemuuid: {system_uuid}");
        }
        if self.replace {
            text.push_str("replace: true\n");
        }
        if !self.devices.is_empty() {
            text.push_str("devices:\n");
        }
        for GivenDevice { name, serial, removed } in &self.devices {
            let _ = writeln!(text, "- name: {}", scalar(name));
            if let Some(serial) = serial {
                let _ = writeln!(text, "  serial: {}", scalar(serial));
            }
            if *removed {
                text.push_str("  removed: true\n");
            }
        }
        let _ = write!(
            text,
            "validrank: {}\nhostfaultdomain: {}\nincarnation: {}\n",
            self.valid_rank,
            scalar(&self.host_fault_domain),
            self.incarnation,
        );
        Ok(text)
    }

    /// Reads the text of a superblock, of 2.8 or of the seed. Unknown keys are ignored, as 2.8 does.
    ///
    /// # Errors
    /// [`SuperblockError`] that tells a file cut short, a wrong version, a bad rank and any other damage apart.
    pub fn from_yaml(bytes: &[u8]) -> Result<Self, SuperblockError> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| SuperblockError::Corrupt { reason: error.to_string() })?;
        if !text.ends_with('\n') {
            return Err(SuperblockError::Truncated);
        }
        let damaged = |error: serde_saphyr::Error| SuperblockError::Corrupt {
            reason: error.without_snippet().to_string(),
        };
        // The version first: another version may have other keys.
        let VersionOnly { version } = serde_saphyr::from_str(text).map_err(damaged)?;
        if version > u64::from(VERSION) {
            return Err(SuperblockError::WrongVersion { version });
        }
        serde_saphyr::from_str::<Stored>(text).map_err(damaged)?.validate()
    }
}

#[derive(Deserialize)]
struct VersionOnly {
    version: u64,
}

/// The keys as stored. Those without a default are in every superblock that a server ever finished writing.
#[derive(Deserialize)]
struct Stored {
    uuid: String,
    system: String,
    #[serde(default)]
    rank: Option<u64>,
    #[serde(default)]
    uri: String,
    #[serde(default)]
    systemuuid: Option<String>,
    validrank: bool,
    #[serde(default)]
    hostfaultdomain: String,
    #[serde(default)]
    incarnation: u64,
    #[serde(default)]
    replace: bool,
    #[serde(default)]
    devices: Vec<GivenDevice>,
    ms: Option<bool>,
    #[serde(default)]
    createms: bool,
    #[serde(default)]
    bootstrapms: bool,
}

impl Stored {
    fn validate(self) -> Result<Superblock, SuperblockError> {
        let rank = match self.rank.map(u32::try_from) {
            None => None,
            Some(Ok(rank)) if rank != NIL_RANK => Some(rank),
            Some(_) => return Err(SuperblockError::RankOutOfRange),
        };
        Ok(Superblock {
            uuid: parse_uuid("uuid", &self.uuid)?,
            system: self.system,
            system_uuid: self.systemuuid.map(|text| parse_uuid("systemuuid", &text)).transpose()?,
            rank,
            uri: self.uri,
            valid_rank: self.validrank,
            host_fault_domain: self.hostfaultdomain,
            incarnation: self.incarnation,
            replace: self.replace,
            devices: self.devices,
            seed_roles: self.ms.map(|replica| SeedRoles {
                replica,
                create: self.createms,
                bootstrap: self.bootstrapms,
            }),
        })
    }
}

fn parse_uuid(key: &str, text: &str) -> Result<Uuid, SuperblockError> {
    Uuid::parse_str(text)
        .map_err(|error| SuperblockError::Corrupt { reason: format!("{key}: {error}") })
}

/// A YAML scalar: plain where every parser reads it as text, else the double-quoted form.
fn scalar(text: &str) -> String {
    let first_is_letter_or_slash =
        text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/');
    let only_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._+:-;".contains(c))
        && !text.ends_with(':');
    // Words that some YAML version reads as something else than text have no punctuation.
    let could_be_a_keyword = !text.contains(['/', '_', ':', '-']) && text.len() <= 5;
    if first_is_letter_or_slash && only_plain && !could_be_a_keyword {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        let _ = match c {
            '"' | '\\' => write!(quoted, "\\{c}"),
            ' '..='~' => write!(quoted, "{c}"),
            '\0'..='\u{ffff}' => write!(quoted, "\\u{:04X}", u32::from(c)),
            _ => write!(quoted, "\\U{:08X}", u32::from(c)),
        };
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn stock() -> Superblock {
        Superblock {
            uuid: Uuid::parse_str("7c7f9b0e-2a1f-4f61-9f6f-0d3d1a1a5e11").unwrap(),
            system: "daos_server".into(),
            system_uuid: None,
            rank: Some(0),
            uri: "ofi+tcp://192.168.1.10:31316".into(),
            valid_rank: true,
            host_fault_domain: "/node1".into(),
            incarnation: 1_234_567_890_123_456_789,
            replace: false,
            devices: Vec::new(),
            seed_roles: None,
        }
    }

    const STOCK_TEXT: &str = "version: 1
uuid: 7c7f9b0e-2a1f-4f61-9f6f-0d3d1a1a5e11
system: daos_server
rank: 0
uri: ofi+tcp://192.168.1.10:31316
validrank: true
hostfaultdomain: /node1
incarnation: 1234567890123456789
";

    #[test]
    fn text_is_that_of_the_contract() {
        assert_eq!(stock().to_yaml().unwrap(), STOCK_TEXT);
        assert_eq!(Superblock::from_yaml(STOCK_TEXT.as_bytes()).unwrap(), stock());
    }

    #[test]
    fn new_superblock_has_no_rank_and_says_null() {
        let fresh = Superblock::new(Uuid::from_u128(7), "daos_server");
        let text = fresh.to_yaml().unwrap();
        assert!(text.contains("\nrank: null\n") && text.contains("\nvalidrank: false\n"), "{text}");
        assert!(text.contains("\nuri: \"\"\n"), "{text}");
        assert_eq!(Superblock::from_yaml(text.as_bytes()).unwrap(), fresh);
        assert_eq!(fresh.joined_rank(), None);
    }

    #[test]
    fn seed_form_is_read_with_its_roles() {
        let text = "version: 0\nuuid: 7c7f9b0e-2a1f-4f61-9f6f-0d3d1a1a5e11\nsystem: daos_server\n\
                    rank: null\nvalidrank: false\nms: true\ncreatems: true\nbootstrapms: true\n";
        let read = Superblock::from_yaml(text.as_bytes()).unwrap();
        assert_eq!(
            read.seed_roles,
            Some(SeedRoles { replica: true, create: true, bootstrap: true })
        );
        assert_eq!(read.rank, None);
    }

    #[test]
    fn unknown_keys_are_ignored() {
        let text = format!("{STOCK_TEXT}future: [1, 2]\n");
        assert_eq!(Superblock::from_yaml(text.as_bytes()).unwrap(), stock());
    }

    #[rstest]
    #[case::rank_none_of_the_wire("rank: 0", "rank: 4294967295", "RankOutOfRange")]
    #[case::rank_too_large("rank: 0", "rank: 4294967296", "RankOutOfRange")]
    #[case::rank_negative("rank: 0", "rank: -1", "Corrupt")]
    #[case::newer_version("version: 1", "version: 2", "WrongVersion")]
    #[case::no_version("version: 1\n", "", "Corrupt")]
    #[case::bad_uuid("7c7f9b0e", "7c7f", "Corrupt")]
    #[case::no_uuid("uuid: ", "other: ", "Corrupt")]
    #[case::rank_is_text("rank: 0", "rank: zero", "Corrupt")]
    #[case::two_of_one_key("rank: 0", "rank: 0\nrank: 1", "Corrupt")]
    fn damage_is_told_apart(#[case] from: &str, #[case] to: &str, #[case] kind: &str) {
        let text = STOCK_TEXT.replace(from, to);
        assert_ne!(text, STOCK_TEXT);
        let error = Superblock::from_yaml(text.as_bytes()).unwrap_err();
        assert!(format!("{error:?}").starts_with(kind), "{error:?}");
    }

    #[test]
    fn rank_none_of_the_wire_is_never_written() {
        let bad = Superblock { rank: Some(u32::MAX), ..stock() };
        assert!(matches!(bad.to_yaml(), Err(SuperblockError::RankOutOfRange)));
    }

    #[test]
    fn every_cut_is_noticed_or_loses_nothing_that_a_join_does_not_restore() {
        let device = GivenDevice { name: "/dev/a".into(), serial: Some("s".into()), removed: true };
        let whole = Superblock {
            system_uuid: Some(Uuid::from_u128(9)),
            replace: true,
            devices: vec![device],
            ..stock()
        };
        let text = whole.to_yaml().unwrap();
        for length in 0..text.len() {
            if let Ok(read) = Superblock::from_yaml(&text.as_bytes()[..length]) {
                assert_eq!((read.uuid, read.rank), (whole.uuid, whole.rank), "cut at {length}");
                assert_eq!(read.system_uuid, whole.system_uuid, "cut at {length}");
                assert_eq!(read.joined_rank(), whole.joined_rank(), "cut at {length}");
                assert!(read.replace, "cut at {length}");
                assert_eq!(read.devices, whole.devices, "cut at {length}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_value_survives_the_round_trip(
            uuid in any::<u128>(), system in ".*", uri in "\\PC*", domain in any::<String>(),
            rank in proptest::option::of(0..u32::MAX), valid in any::<bool>(),
            incarnation in any::<u64>(), system_uuid in proptest::option::of(any::<u128>()),
            replace in any::<bool>(),
            devices in proptest::collection::vec(
                (".*", proptest::option::of("\\PC*"), any::<bool>()), 0..4),
        ) {
            let given = |(name, serial, removed)| GivenDevice { name, serial, removed };
            let value = Superblock {
                uuid: Uuid::from_u128(uuid), system, uri, host_fault_domain: domain, rank,
                valid_rank: valid, incarnation, replace, system_uuid: system_uuid.map(Uuid::from_u128),
                devices: devices.into_iter().map(given).collect(), seed_roles: None,
            };
            let text = value.to_yaml().unwrap();
            prop_assert_eq!(Superblock::from_yaml(text.as_bytes()).unwrap(), value, "{}", text);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = Superblock::from_yaml(&bytes);
        }

        #[test]
        fn one_changed_byte_never_panics(at in 0..STOCK_TEXT.len(), byte in any::<u8>()) {
            let mut bytes = STOCK_TEXT.as_bytes().to_vec();
            bytes[at] = byte;
            let _ = Superblock::from_yaml(&bytes);
        }
    }
}
