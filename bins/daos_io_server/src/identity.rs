//! Who this engine is, across restarts and kill -9: a uuid, and the highest incarnation it ever had.
//!
//! Pure values and their text; the file is written by `storage`.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const VERSION: u32 = 1;

/// Contents of `identity.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    version: u32,
    /// Of the engine, made once.
    pub uuid: Uuid,
    /// Of the present start.
    pub incarnation: u64,
}

impl Identity {
    /// A new engine, or the one whose metadata was kept elsewhere.
    pub fn new(recorded: Option<Uuid>, now: SystemTime) -> Self {
        let uuid = recorded.unwrap_or_else(Uuid::new_v4);
        Self { version: VERSION, uuid, incarnation: nanoseconds(now) }
    }

    /// Reads the file's bytes.
    pub fn read(bytes: &[u8]) -> anyhow::Result<Self> {
        let identity: Self = serde_json::from_slice(bytes).context("not an engine identity")?;
        ensure!(identity.version == VERSION, "identity of unknown version {}", identity.version);
        Ok(identity)
    }

    /// The same engine started again: its incarnation rises, whatever the clock says.
    #[must_use]
    pub fn next(&self, now: SystemTime) -> Self {
        let incarnation = nanoseconds(now).max(self.incarnation.saturating_add(1));
        Self { incarnation, ..self.clone() }
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> anyhow::Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(text)
    }
}

/// Since 1970; a clock before that counts as 0.
fn nanoseconds(now: SystemTime) -> u64 {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn incarnations_rise_when_the_clock_stands_or_goes_back() {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let first = Identity::new(None, now);
        assert_eq!(first.incarnation, 1_700_000_000_000_000_000);
        let again = first.next(now);
        assert_eq!(again.incarnation, first.incarnation + 1);
        let back = again.next(now - Duration::from_secs(86_400));
        assert_eq!(back.incarnation, again.incarnation + 1);
        let later = back.next(now + Duration::from_secs(1));
        assert_eq!(later.incarnation, 1_700_000_001_000_000_000);
        assert_eq!(later.uuid, first.uuid);
        assert!(Identity::new(None, UNIX_EPOCH - Duration::from_secs(5)).incarnation == 0);
    }

    #[test]
    fn survives_the_way_to_the_file() {
        let identity = Identity::new(None, SystemTime::now());
        assert_eq!(Identity::read(&identity.to_bytes().unwrap()).unwrap(), identity);
        for bytes in [
            &b""[..],
            b"{}",
            b"{\"version\":2,\"uuid\":\"00000000-0000-0000-0000-000000000000\",\"incarnation\":1}",
        ] {
            assert!(Identity::read(bytes).is_err());
        }
    }
}
