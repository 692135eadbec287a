//! The content of a log entry: what the payload bytes of an entry mean.
//!
//! Used by the replicas that write and apply the log, and by the tools that look at it while no replica runs.

use serde::{Deserialize, Serialize};

use crate::command::{DecodeError, check_version};
use crate::replica::ReplicaSet;

/// First byte of an entry that names replicas. A command is a JSON object and starts with a brace.
const REPLICAS: u8 = 0x01;

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryContent {
    /// A change of the system, as [`crate::Command::encode`] writes it.
    Command(Vec<u8>),
    /// From this entry on, these are the replicas.
    Replicas(ReplicaSet),
    /// Nothing. A leader writes one when its term begins.
    Blank,
}

#[derive(Serialize, Deserialize)]
struct Written {
    v: u16,
    #[serde(flatten)]
    set: ReplicaSet,
}

impl EntryContent {
    /// The version of the encoding of sets of replicas that is written.
    pub const VERSION: u16 = 1;

    /// The payload bytes.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        match self {
            Self::Command(bytes) => bytes,
            Self::Replicas(set) => {
                let mut bytes = vec![REPLICAS];
                // Writing to memory does not fail, and every key is a number or a text.
                let _ = serde_json::to_writer(&mut bytes, &Written { v: Self::VERSION, set });
                bytes
            }
            Self::Blank => Vec::new(),
        }
    }

    /// Reads it back. The bytes of a command are handed over as they are.
    ///
    /// # Errors
    /// [`DecodeError`] for an entry about replicas that is damaged or that a later version wrote.
    pub fn decode(payload: Vec<u8>) -> Result<Self, DecodeError> {
        match payload.split_first() {
            None => Ok(Self::Blank),
            Some((&REPLICAS, rest)) => {
                check_version(rest, Self::VERSION)?;
                let Written { set, .. } = serde_json::from_slice(rest)?;
                Ok(Self::Replicas(set))
            }
            Some(_) => Ok(Self::Command(payload)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::{Replica, ReplicaId};

    fn set() -> ReplicaSet {
        let address = "10.0.0.1:10001".parse().unwrap();
        ReplicaSet::alone(Replica { id: ReplicaId(0xFFFF_FFFF_FFFF_FFFF), address })
    }

    #[test]
    fn every_content_comes_back() {
        let command = br#"{"v":1,"at":7,"changes":["bump_map_version"]}"#.to_vec();
        for content in
            [EntryContent::Command(command), EntryContent::Replicas(set()), EntryContent::Blank]
        {
            let payload = content.clone().encode();
            assert_eq!(EntryContent::decode(payload).unwrap(), content);
        }
    }

    /// As the first release wrote it. A failure here means that old logs cannot be read.
    #[test]
    fn the_encoding_has_stable_names() {
        let payload = EntryContent::Replicas(set()).encode();
        let text = std::str::from_utf8(&payload).unwrap();
        assert_eq!(
            text,
            "\u{1}{\"v\":1,\"voters\":[[\"ffffffffffffffff\"]],\"addresses\":\
             {\"ffffffffffffffff\":\"10.0.0.1:10001\"}}"
        );
        assert_eq!(EntryContent::Blank.encode(), b"");
    }

    #[test]
    fn later_versions_are_refused() {
        let later = b"\x01{\"v\":2,\"something\":[]}".to_vec();
        assert!(matches!(EntryContent::decode(later), Err(DecodeError::Newer { found: 2 })));
        assert!(EntryContent::decode(b"\x01{".to_vec()).is_err());
    }
}
