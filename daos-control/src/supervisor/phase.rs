//! How far an engine has come between its start and serving, and what it may be told there (contract 3.5).
//!
//! Pure: one allow-list. Called by every body of `Supervisor` before a call and after it. Real engines abort when a
//! set-up comes twice, and refuse steps that come too early; neither is ever sent to them.

use std::fmt;

/// What a supervisor can tell an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Its rank.
    SetRank,
    /// To finish its start.
    SetUp,
    /// The group map.
    UpdateGroup,
    /// To answer.
    Ping,
    /// That the system stops.
    PrepareShutdown,
    /// Its log levels.
    SetLogMasks,
    /// To tell of its block devices.
    TellDevices,
}

/// How far an engine has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// A process that has not reported yet.
    Launched,
    /// It reported that it is ready; it waits for its rank.
    Ready,
    /// It knows its rank; it waits for its set-up.
    Ranked,
    /// Its set-up was sent and the outcome is not known: it must not be sent again.
    SetUpUnknown,
    /// It serves.
    Up,
}

/// What is known of a step that was allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The engine did it.
    Done,
    /// The engine refused, or the call never reached it.
    NotDone,
    /// It was sent, and there is no answer: it may or may not be carried out.
    Unknown,
}

impl Phase {
    /// Whether the step may be sent to an engine in this phase.
    #[must_use]
    pub fn allows(self, step: Step) -> bool {
        match step {
            Step::SetRank => self == Self::Ready,
            Step::SetUp => self == Self::Ranked,
            Step::UpdateGroup => {
                matches!(self, Self::Ranked | Self::SetUpUnknown | Self::Up)
            }
            Step::Ping | Step::SetLogMasks => self != Self::Launched,
            Step::PrepareShutdown | Step::TellDevices => self == Self::Up,
        }
    }

    /// The phase after a step that was allowed: `Unknown` when it is sent, then once more when its outcome is known.
    #[must_use]
    pub fn after(self, step: Step, outcome: Outcome) -> Self {
        match (self, step, outcome) {
            (Self::Ready, Step::SetRank, Outcome::Done) => Self::Ranked,
            (Self::Ranked, Step::SetUp, Outcome::Unknown) => Self::SetUpUnknown,
            (Self::SetUpUnknown, Step::SetUp, Outcome::NotDone) => Self::Ranked,
            (Self::Ranked | Self::SetUpUnknown, Step::SetUp, Outcome::Done) => Self::Up,
            (phase, ..) => phase,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Launched => "has not reported that it is ready",
            Self::Ready => "has no rank yet",
            Self::Ranked => "is not set up yet",
            Self::SetUpUnknown => "was told to set up and did not answer",
            Self::Up => "is already set up",
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SetRank => "take its rank",
            Self::SetUp => "set up",
            Self::UpdateGroup => "take a group map",
            Self::Ping => "answer",
            Self::PrepareShutdown => "prepare its shutdown",
            Self::SetLogMasks => "set its log levels",
            Self::TellDevices => "tell of its block devices",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Phase, Step};

    const PHASES: [Phase; 5] =
        [Phase::Launched, Phase::Ready, Phase::Ranked, Phase::SetUpUnknown, Phase::Up];

    fn allowed(step: Step) -> Vec<Phase> {
        PHASES.into_iter().filter(|phase| phase.allows(step)).collect()
    }

    #[test]
    fn rank_and_set_up_are_sent_once_and_in_order() {
        assert_eq!(allowed(Step::SetRank), [Phase::Ready]);
        assert_eq!(allowed(Step::SetUp), [Phase::Ranked]);
        assert_eq!(allowed(Step::TellDevices), [Phase::Up]);
        assert_eq!(Phase::Ready.after(Step::SetRank, Outcome::Done), Phase::Ranked);
        assert_eq!(Phase::Ranked.after(Step::SetUp, Outcome::Done), Phase::Up);
    }

    #[test]
    fn a_group_map_needs_a_rank() {
        assert_eq!(
            allowed(Step::UpdateGroup),
            [Phase::Ranked, Phase::SetUpUnknown, Phase::Up],
            "between rank and set-up it is accepted, before the rank it is not"
        );
    }

    #[test]
    fn a_set_up_of_unknown_outcome_is_never_repeated() {
        let sent = Phase::Ranked.after(Step::SetUp, Outcome::Unknown);
        assert!(!sent.allows(Step::SetUp));
        assert_eq!(sent.after(Step::SetUp, Outcome::Done), Phase::Up);
        assert!(sent.after(Step::SetUp, Outcome::NotDone).allows(Step::SetUp));
    }

    #[test]
    fn an_unknown_rank_may_be_repeated() {
        assert!(Phase::Ready.after(Step::SetRank, Outcome::Unknown).allows(Step::SetRank));
    }

    #[test]
    fn nothing_else_moves_an_engine() {
        for phase in PHASES {
            for step in [Step::UpdateGroup, Step::Ping, Step::PrepareShutdown, Step::SetLogMasks] {
                assert_eq!(phase.after(step, Outcome::Done), phase);
            }
        }
    }
}
