//! Which faults come when: drawn from the seed as the run goes on.

use std::time::Duration;

use super::dice::Dice;
use super::network::HostId;

/// One fault. Durations say when it ends by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A server is killed with its engines, and started again.
    Kill(HostId, Duration),
    /// A host loses its power for a while.
    PowerLoss(HostId, Duration),
    /// All hosts do.
    Blackout(Duration),
    /// A server stands still.
    Pause(HostId, Duration),
    /// A direction between two hosts is cut.
    Cut(HostId, HostId),
    /// A host is cut off from all others, in these directions.
    Isolate {
        /// The host.
        host: HostId,
        /// What it sends is lost.
        out: bool,
        /// What is sent to it is lost.
        back: bool,
    },
    /// The replicas are split in two halves.
    Split(Vec<HostId>),
    /// A direction loses and delays packets.
    Disturb(HostId, HostId),
    /// All links work again.
    Mend,
    /// The disk of a replica is full for a while.
    DiskFull(HostId, Duration),
    /// The power of a replica fails in the middle of the write with this number from now.
    DiesWriting(HostId, u32),
    /// A replica's disk is lost, and replaced by a blank one.
    Wipe(HostId),
    /// An engine is killed.
    KillEngine(HostId, u32),
    /// All engines of some hosts are killed at once.
    MassDeath(Vec<HostId>),
}

/// What there is to break.
#[derive(Debug, Clone)]
pub struct Targets {
    /// Hosts with engines.
    pub hosts: Vec<HostId>,
    /// Hosts with a replica.
    pub replicas: Vec<HostId>,
    /// Where the leader is, if anywhere.
    pub leader: Option<HostId>,
    /// Engines of a host.
    pub engines: u32,
    /// Whether a wiped replica could be made up for.
    pub may_wipe: bool,
}

/// The faults of one run.
#[derive(Debug)]
pub struct Plan {
    dice: Dice,
    next: Duration,
    /// Longest pause between two faults, in milliseconds: some runs are rough, some are not.
    calm: u64,
}

impl Plan {
    /// The plan of a seed; the first fault comes after `first`.
    #[must_use]
    pub fn new(seed: u64, first: Duration) -> Self {
        let mut dice = Dice::new(seed, 0xfa_0175);
        let calm = *dice.pick(&[600, 1500, 3000, 6000]).unwrap_or(&1500);
        Self { dice, next: first, calm }
    }

    /// The fault that is due, if one is.
    pub fn due(&mut self, now: Duration, targets: &Targets) -> Option<Fault> {
        if now < self.next {
            return None;
        }
        self.next = now + self.dice.millis(50..self.calm);
        self.draw(targets)
    }

    /// A replica; the leader more often than the others.
    fn replica(&mut self, targets: &Targets) -> Option<HostId> {
        let leader = targets.leader.filter(|_| self.dice.chance(400));
        leader.or_else(|| self.dice.pick(&targets.replicas).copied())
    }

    fn draw(&mut self, targets: &Targets) -> Option<Fault> {
        let kind = self.dice.number(0..100);
        let down = self.dice.millis(50..8000);
        let host = *self.dice.pick(&targets.hosts)?;
        let replica = self.replica(targets)?;
        let other = *self.dice.pick(&targets.replicas)?;
        Some(match kind {
            0..12 => Fault::Kill(replica, down),
            12..16 => Fault::Kill(host, down),
            16..20 => Fault::PowerLoss(replica, down),
            20..22 => Fault::PowerLoss(host, down),
            22..24 => Fault::Blackout(down / 4),
            24..32 => Fault::Pause(replica, down / 2),
            32..40 => Fault::Cut(replica, other),
            40..48 => {
                let (out, back) = *self.dice.pick(&[(true, false), (false, true), (true, true)])?;
                Fault::Isolate { host: replica, out, back }
            }
            48..52 => {
                let half = targets.replicas.len() / 2;
                Fault::Split(self.dice.some(&targets.replicas, half))
            }
            52..60 => Fault::Disturb(replica, other),
            60..72 => Fault::Mend,
            72..75 => Fault::DiskFull(replica, down),
            75..83 => Fault::DiesWriting(replica, self.dice.number(1..30) as u32),
            83..86 if targets.may_wipe => Fault::Wipe(other),
            83..97 => {
                Fault::KillEngine(host, self.dice.number(0..u64::from(targets.engines)) as u32)
            }
            _ => {
                let count = self.dice.number(1..targets.hosts.len() as u64 / 2 + 2) as usize;
                Fault::MassDeath(self.dice.some(&targets.hosts, count))
            }
        })
    }

    /// How a disturbed direction is disturbed: packets lost of a thousand, and milliseconds of delay.
    pub fn disturbance(&mut self) -> (u32, u64) {
        (self.dice.number(50..600) as u32, self.dice.number(1..300))
    }
}
