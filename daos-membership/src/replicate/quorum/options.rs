//! How a replica of several works: times, sizes and the seed of its chances.

use std::time::Duration;

/// How a [`super::Quorum`] works. The defaults suit hosts of one site; all replicas should have the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumOptions {
    /// How often a leader shows that it leads.
    pub heartbeat: Duration,
    /// How long an answer of another replica may take, the one to an append included.
    pub reply_within: Duration,
    /// How long the leader must be silent before a replica asks the others for an election. Within this time
    /// after it has heard a leader, a replica votes for nobody else. Several heartbeats and answers fit in.
    pub leader_lost_after: Duration,
    /// The most that a replica waits beyond that, by chance, so that two seldom stand at once.
    pub election_spread: Duration,
    /// How long a leader may hear no majority before it gives way.
    pub quorum_lost_after: Duration,
    /// How long a write of the log may take before the leader gives way.
    pub stall_after: Duration,
    /// How long a leader that gives way waits for another one before it leads on.
    pub give_way_for: Duration,
    /// How long a command may take to be committed before its outcome is called unknown.
    pub propose_within: Duration,
    /// Entries after which the log is replaced by a snapshot, at the earliest; see
    /// [`crate::LocalOptions::snapshot_after`].
    pub snapshot_after: u64,
    /// Entries that stay in the log after a snapshot, for replicas that are a little behind.
    pub keep_entries: u64,
    /// Bytes of a snapshot that are sent at once. A part has to fit into a message of the network.
    pub snapshot_part: usize,
    /// How long one part may take; for the last one that includes installing it.
    pub snapshot_within: Duration,
    /// Makes every chance follow from this number (and the id of a new store with it). For tests and
    /// simulations; replicas of one system need different ones.
    pub seed: Option<u64>,
}

impl Default for QuorumOptions {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(120),
            reply_within: Duration::from_millis(400),
            leader_lost_after: Duration::from_millis(700),
            election_spread: Duration::from_millis(300),
            quorum_lost_after: Duration::from_millis(1500),
            stall_after: Duration::from_secs(2),
            give_way_for: Duration::from_secs(4),
            propose_within: Duration::from_secs(5),
            snapshot_after: 1024,
            keep_entries: 64,
            snapshot_part: 512 << 10,
            snapshot_within: Duration::from_secs(15),
            seed: None,
        }
    }
}
