//! Clocks that are wrong: every host's differs from the world's time by hours, and jumps.

use daos_membership::{Clock, Timestamp};

use super::dice::Dice;
use super::network::{HostId, HostTime};

/// The wall clock of one host.
#[derive(Debug)]
pub struct SkewedClock {
    time: HostTime,
    ahead: u64,
}

impl SkewedClock {
    /// The clock of a host: up to six hours ahead of the slowest.
    #[must_use]
    pub fn new(seed: u64, host: HostId, time: HostTime) -> Self {
        let ahead = Dice::new(seed, 0xc10c_0000 + host as u64).number(0..6 * 3600 * 1_000_000_000);
        Self { time, ahead }
    }
}

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        let now = u64::try_from(self.time.now().as_nanos()).unwrap_or(u64::MAX);
        Timestamp(1_700_000_000_000_000_000 + self.ahead + now)
    }
}
