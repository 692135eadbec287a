//! When an engine that ended itself may be started again (contract 4.4).
//!
//! Pure: the clock is an argument. Called by `engine` when an engine that reported its own termination has exited; a
//! crash never restarts an engine.

use std::time::Duration;

use tokio::time::Instant;

/// Spacing of automatic restarts unless configured.
pub const DEFAULT_MIN_DELAY: Duration = Duration::from_secs(300);

/// Rate limit of one engine's automatic restarts: at least `min_delay` apart, at most one put off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartPolicy {
    /// `None`: never.
    min_delay: Option<Duration>,
    last: Option<Instant>,
}

impl RestartPolicy {
    /// Restarts at least `min_delay` apart; zero means the default of 300 s.
    #[must_use]
    pub fn spaced_by(min_delay: Duration) -> Self {
        let min_delay = if min_delay.is_zero() { DEFAULT_MIN_DELAY } else { min_delay };
        Self { min_delay: Some(min_delay), last: None }
    }

    /// No automatic restarts (`disable_engine_auto_restart`).
    #[must_use]
    pub fn disabled() -> Self {
        Self { min_delay: None, last: None }
    }

    /// Whether there are automatic restarts at all.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.min_delay.is_some()
    }

    /// How long to wait before the restart, counted from `now`; zero for at once, `None` for not at all.
    ///
    /// The restart granted here counts as done at that time: ask once for each self-termination. While one is still
    /// put off, no other is granted.
    #[must_use]
    pub fn next(&mut self, now: Instant) -> Option<Duration> {
        let min_delay = self.min_delay?;
        let due = match self.last {
            Some(last) if last > now => return None,
            Some(last) => now.max(last + min_delay),
            None => now,
        };
        self.last = Some(due);
        Some(due - now)
    }

    /// Forgets earlier restarts: an administrator stopped or started the engine.
    pub fn clear(&mut self) {
        self.last = None;
    }
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self::spaced_by(DEFAULT_MIN_DELAY)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_restart_is_at_once_and_the_second_is_put_off() {
        let start = Instant::now();
        let mut policy = RestartPolicy::default();
        assert_eq!(policy.next(start), Some(s(0)));
        assert_eq!(policy.next(start + s(10)), Some(s(290)));
        assert_eq!(policy.next(start + s(20)), None, "one is put off already");
        assert_eq!(policy.next(start + s(301)), Some(s(299)), "the put-off one ran at 300 s");
    }

    #[test]
    fn a_restart_outside_the_window_is_at_once() {
        let start = Instant::now();
        let mut policy = RestartPolicy::spaced_by(s(60));
        assert_eq!(policy.next(start), Some(s(0)));
        assert_eq!(policy.next(start + s(60)), Some(s(0)));
    }

    #[test]
    fn an_administrator_clears_the_history() {
        let start = Instant::now();
        let mut policy = RestartPolicy::default();
        assert_eq!(policy.next(start), Some(s(0)));
        policy.clear();
        assert_eq!(policy.next(start + s(1)), Some(s(0)));
    }

    #[test]
    fn zero_means_the_default_and_disabled_means_never() {
        assert_eq!(RestartPolicy::spaced_by(s(0)), RestartPolicy::default());
        assert_eq!(RestartPolicy::disabled().next(Instant::now()), None);
        assert!(!RestartPolicy::disabled().is_enabled() && RestartPolicy::default().is_enabled());
    }

    proptest! {
        #[test]
        fn restarts_are_never_closer_than_the_spacing(
            gaps in prop::collection::vec(0u64..500, 1..20), spacing in 1u64..400,
        ) {
            let mut now = Instant::now();
            let mut policy = RestartPolicy::spaced_by(s(spacing));
            let mut granted: Option<Instant> = None;
            for gap in gaps {
                now += s(gap);
                if let Some(wait) = policy.next(now) {
                    let at = now + wait;
                    if let Some(before) = granted {
                        prop_assert!(at - before >= s(spacing));
                        prop_assert!(before <= now, "two put off at once");
                    }
                    granted = Some(at);
                }
            }
        }
    }
}
