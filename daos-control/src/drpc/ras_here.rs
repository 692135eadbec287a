//! The parts of an event that say where and when it was raised (contract 9.2).

use std::time::{SystemTime, UNIX_EPOCH};

use super::ras::RasEvent;

impl RasEvent {
    /// An event of this process, raised now on this host; the rest is for the caller to fill in.
    #[must_use]
    pub fn raised_here() -> Self {
        Self {
            timestamp: timestamp(SystemTime::now()),
            hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            process_id: std::process::id().into(),
            ..Self::default()
        }
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
    use std::time::Duration;

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
