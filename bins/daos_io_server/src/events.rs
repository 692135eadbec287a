//! RAS events on their way to the server (contract 9.2).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use daos_control::drpc::{
    CallError, Client, Method, RasEvent, RasId, RasSeverity, RasType, encode_cluster_event,
};
use tokio::time::Instant;

/// How long the server may take to answer.
const DEADLINE: Duration = Duration::from_secs(5);

/// Reports as this process on this host.
#[derive(Debug)]
pub struct Reporter {
    /// The server.
    pub server: Client,
}

impl Reporter {
    /// Says that this engine ends itself because it was excluded; the incarnation is the one of its next start.
    pub async fn self_terminated(
        &self,
        rank: u32,
        incarnation: u64,
        why: &str,
    ) -> Result<(), CallError> {
        let event = RasEvent {
            id: RasId::ENGINE_SELF_TERMINATED,
            message: why.to_owned(),
            kind: RasType::Info,
            severity: RasSeverity::Notice,
            rank: Some(rank),
            incarnation,
            ..here_and_now()
        };
        self.send(event).await
    }

    /// Says that a peer was given up, or answers again; the incarnation is the one of the group map.
    pub async fn peer(&self, rank: u32, incarnation: u64, dead: bool) -> Result<(), CallError> {
        let (id, message) = match dead {
            true => (RasId::SWIM_RANK_DEAD, "the rank does not answer its peers"),
            false => (RasId::SWIM_RANK_ALIVE, "the rank answers its peers again"),
        };
        let event = RasEvent {
            id,
            message: message.to_owned(),
            kind: RasType::StateChange,
            severity: RasSeverity::Notice,
            rank: Some(rank),
            incarnation,
            ..here_and_now()
        };
        self.send(event).await
    }

    async fn send(&self, event: RasEvent) -> Result<(), CallError> {
        let body = encode_cluster_event(0, event);
        self.server.call(Method::ClusterEvent, body, Instant::now() + DEADLINE).await?;
        Ok(())
    }
}

fn here_and_now() -> RasEvent {
    RasEvent {
        timestamp: timestamp(SystemTime::now()),
        hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        process_id: std::process::id().into(),
        ..RasEvent::default()
    }
}

/// `2006-01-02T15:04:05.000000+0000`.
fn timestamp(now: SystemTime) -> String {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, micros) = (since.as_secs(), since.subsec_micros());
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}+0000")
}

/// Year, month and day of a number of days since 1970, by walking over years and months.
fn date(days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let (mut year, mut left) = (1970, days);
    while left >= 365 + u64::from(is_leap(year)) {
        left -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month, left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_have_the_form_of_the_contract() {
        let at = |seconds, micros| {
            timestamp(UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(micros))
        };
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000000+0000");
        assert_eq!(at(951_782_400, 7), "2000-02-29T00:00:00.000007+0000");
        assert_eq!(at(1_735_689_599, 999_999), "2024-12-31T23:59:59.999999+0000");
    }
}
