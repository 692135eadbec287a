//! What goes wrong in a simulated host, and what takes long.

use std::io;
use std::time::Duration;

use crate::BdevError;

/// A moment in the provider's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimPoint {
    /// A scan.
    Scan,
    /// A prepare.
    Prepare,
    /// A reset.
    Reset,
    /// Looking at one device.
    Observe,
    /// Just before the step of this number, from 0, of one device.
    Step(usize),
    /// Writing a device configuration.
    WriteConfig,
}

/// Faults and delays. A device name is as in the target; empty for moments that belong to no device.
#[derive(Debug, Clone, Default)]
pub struct Script {
    failures: Vec<(String, SimPoint)>,
    delays: Vec<(String, SimPoint, Duration)>,
}

impl Script {
    /// Makes a moment fail, every time it comes.
    #[must_use]
    pub fn fail(mut self, device: &str, point: SimPoint) -> Self {
        self.failures.push((device.to_owned(), point));
        self
    }

    /// Makes a moment last this long; time may be that of a paused tokio clock.
    #[must_use]
    pub fn delay(mut self, device: &str, point: SimPoint, time: Duration) -> Self {
        self.delays.push((device.to_owned(), point, time));
        self
    }

    pub(super) fn failure(&self, device: &str, point: SimPoint) -> Option<BdevError> {
        let scripted = self.failures.iter().any(|(name, at)| name == device && *at == point);
        scripted.then(|| BdevError::StepFailed {
            device: device.to_owned(),
            step: format!("{point:?}"),
            source: io::Error::other("scripted fault"),
        })
    }

    pub(super) fn delay_of(&self, device: &str, point: SimPoint) -> Option<Duration> {
        let scripted = self.delays.iter().find(|(name, at, _)| name == device && *at == point);
        scripted.map(|(_, _, time)| *time)
    }
}
