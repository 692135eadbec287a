//! Results of operations on ranks of this host. Made by `fleet`, shown by the gRPC edge. Values only.

use daos_membership::{MemberState, Rank};

/// What was asked of a rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RankAction {
    /// Get ready to stop: no exclusion from pools for it.
    PrepareShutdown,
    /// End the process.
    Stop,
    /// Start the process and wait until it serves.
    Start,
    /// Remove the superblock and wait for a format.
    ResetFormat,
    /// Start the process anew if it runs or failed, so that it joins again; a rank that was stopped stays so.
    Rejoin,
}

impl RankAction {
    /// Text of the `action` field (contract 2.1).
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::PrepareShutdown => "prep shutdown",
            Self::Stop => "stop",
            Self::Start => "start",
            Self::ResetFormat => "reset format",
            Self::Rejoin => "rejoin",
        }
    }
}

/// What came of it, for one rank.
#[derive(Debug, Clone, PartialEq)]
pub struct RankOutcome {
    /// The rank.
    pub rank: Rank,
    /// What was asked.
    pub action: RankAction,
    /// State afterwards.
    pub state: MemberState,
    /// The error, when it failed; `None` is success.
    pub error: Option<String>,
    /// A remark that goes with success, may be empty.
    pub message: String,
}

impl RankOutcome {
    /// A success.
    #[must_use]
    pub fn done(rank: Rank, action: RankAction, state: MemberState) -> Self {
        Self { rank, action, state, error: None, message: String::new() }
    }

    /// A failure that leaves the rank errored.
    pub fn failed(rank: Rank, action: RankAction, error: impl Into<String>) -> Self {
        Self {
            rank,
            action,
            state: MemberState::Errored,
            error: Some(error.into()),
            message: String::new(),
        }
    }

    /// Adds a remark.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }
}
