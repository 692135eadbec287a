//! The engine state machine: event in, next state and actions out. Pure: no clock, no I/O, no channel.
//!
//! Driven by `instance`. One `match` is the allow-list: an event that is not named for a state changes nothing.

use daos_membership::{Incarnation, Rank};

use super::state::{AfterStop, EngineState, StopReason};
use crate::fault::Fault;
use crate::supervisor::{EngineReady, ExitStatus};

/// What can happen to an engine.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The server starts, or an administrator starts the rank.
    StartRequested,
    /// Its storage was formatted; `replace` asks to take over the rank of a lost engine (contract 6.4).
    Formatted {
        /// Whether the join is to be a replacement.
        replace: bool,
    },
    /// A format found its storage formatted already: if it waits, it need not.
    FoundFormatted,
    /// The look at its storage ended.
    Looked(Looked),
    /// The process exists.
    Launched {
        /// Process id.
        pid: u32,
    },
    /// No process could be made.
    LaunchFailed(Fault),
    /// The process announced itself (contract 3.5).
    Ready {
        /// Process id.
        pid: u32,
        /// What it announced.
        ready: EngineReady,
    },
    /// It did not announce itself in time.
    ReadyTimedOut(Fault),
    /// The management service admitted it and the superblock knows.
    Joined(Settled),
    /// The management service refused it for good.
    JoinRefused(Fault),
    /// It was told its rank and set up.
    SetUp,
    /// It could not be told its rank or set up.
    SetUpFailed(Fault),
    /// It said that it ends itself because it was excluded.
    SelfTerminated,
    /// The restart that was put off is due.
    RestartDue,
    /// A process ended.
    Exited {
        /// Process id: news of an earlier process may come late.
        pid: u32,
        /// How it ended.
        status: ExitStatus,
    },
    /// There is no process to end.
    NotThere,
    /// It is to end; `kill` is at once.
    StopRequested {
        /// Without grace.
        kill: bool,
        /// Why.
        reason: StopReason,
    },
    /// Its superblock was removed.
    FormatReset,
    /// The system was told that it does not come up; changes nothing here.
    AbsenceReported,
}

/// What a look at an engine's storage found, after what could be done about it was done.
#[derive(Debug, Clone, PartialEq)]
pub enum Looked {
    /// Mounted, with a superblock.
    Ready,
    /// An administrator must format it; the text says why.
    NeedsFormat(String),
    /// It may not be used.
    Refused(Fault),
}

/// What a join settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// The rank, as written to the superblock.
    pub rank: Rank,
    /// Version of the group map that first holds it.
    pub map_version: u32,
    /// Incarnation it joined with.
    pub incarnation: Incarnation,
}

/// What the driver is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Look at the storage; answer `Looked`.
    Look,
    /// Start the process; answer `Launched` or `LaunchFailed`.
    Launch,
    /// Ask for a rank; answer `Joined` or `JoinRefused`.
    Join {
        /// What the engine announced.
        ready: EngineReady,
        /// Whether to take over a lost engine's rank.
        replace: bool,
    },
    /// Tell the process its rank and set it up; answer `SetUp` or `SetUpFailed`.
    SetUp(Settled),
    /// End the process; the end arrives as `Exited`.
    Stop {
        /// Without grace.
        kill: bool,
    },
    /// Give up what is under way: a look, a launch, a join.
    Abandon,
    /// Tell the system that the engine died (contract 6.7).
    ReportDeath {
        /// Its rank.
        rank: Rank,
        /// Its incarnation.
        incarnation: Incarnation,
        /// How it ended.
        how: String,
    },
    /// Tell the system that the engine does not come up: it may still hold it for joined from an earlier start.
    ReportAbsence {
        /// Why.
        how: String,
    },
    /// Ask the restart policy; answer `RestartDue` when it allows. Comes before the report of the death.
    PlanRestart(Rank),
}

/// One engine's state and what must be remembered beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    index: u32,
    state: EngineState,
    replace: bool,
    self_terminated: bool,
}

impl Machine {
    /// An engine nobody has looked at yet.
    #[must_use]
    pub fn new(index: u32) -> Self {
        let state = EngineState::Stopped(StopReason::Requested);
        Self { index, state, replace: false, self_terminated: false }
    }

    /// The present state.
    #[must_use]
    pub fn state(&self) -> &EngineState {
        &self.state
    }

    /// Takes an event and says what to do.
    pub fn on(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::StartRequested => self.start_requested(),
            Event::Formatted { replace } => self.formatted(replace),
            Event::FormatReset => self.look_again(),
            Event::FoundFormatted if matches!(self.state, EngineState::WaitingForFormat(_)) => {
                self.look_again()
            }
            Event::RestartDue if matches!(self.state, EngineState::Failed { .. }) => {
                self.look_again()
            }
            Event::Looked(found) => self.looked(found),
            Event::StopRequested { kill, reason } => self.stop_requested(kill, reason),
            Event::Exited { pid, status } if self.may_be(pid) => self.exited(status),
            Event::NotThere => self.not_there(),
            Event::SelfTerminated if self.state.has_process() => {
                self.self_terminated = true;
                vec![]
            }
            other => self.starting(other),
        }
    }

    /// What comes of an engine that ended itself, for whoever looks at it; answers `PlanRestart`.
    pub fn restart_planned(&mut self, plan: &str) {
        if let EngineState::Failed { fault, .. } = &mut self.state {
            fault.description = format!("{}; {plan}", fault.description);
        }
    }

    /// Whether news of this process are of the present one, as far as its number is known.
    fn may_be(&self, pid: u32) -> bool {
        self.state.pid().is_none_or(|known| known == pid)
    }

    /// The road from a process to a serving engine.
    fn starting(&mut self, event: Event) -> Vec<Action> {
        match (&self.state, event) {
            (EngineState::Starting { .. }, Event::Launched { pid }) => {
                self.state = EngineState::Starting { pid: Some(pid) };
                vec![]
            }
            (EngineState::Starting { .. }, Event::LaunchFailed(fault)) => {
                let how = fault.description.clone();
                self.state = EngineState::Failed { fault, status: None };
                vec![Action::Abandon, Action::ReportAbsence { how }]
            }
            // It was to end before it was there.
            (EngineState::Stopping { pid: None, then }, Event::Launched { pid }) => {
                self.state = EngineState::Stopping { pid: Some(pid), then: then.clone() };
                vec![Action::Stop { kill: true }]
            }
            (EngineState::Stopping { pid: None, .. }, Event::LaunchFailed(_)) => self.not_there(),
            (EngineState::Starting { .. }, Event::Ready { pid, ready }) if self.may_be(pid) => {
                self.state = EngineState::Joining { pid, ready: ready.clone() };
                vec![Action::Join { ready, replace: self.replace }]
            }
            (EngineState::Starting { pid }, Event::ReadyTimedOut(fault)) => {
                let pid = *pid;
                self.end_because(pid, fault)
            }
            (EngineState::Joining { pid, .. }, Event::Joined(settled)) => {
                self.state = EngineState::SettingUp {
                    pid: *pid,
                    rank: settled.rank,
                    incarnation: settled.incarnation,
                };
                self.replace = false;
                vec![Action::SetUp(settled)]
            }
            (EngineState::Joining { pid, .. }, Event::JoinRefused(fault)) => {
                let pid = Some(*pid);
                self.end_because(pid, fault)
            }
            // It has joined, so the system takes it for a member that is there.
            (EngineState::SettingUp { pid, rank, incarnation }, Event::SetUpFailed(fault)) => {
                let (pid, rank, incarnation) = (Some(*pid), *rank, *incarnation);
                let how = fault.to_string();
                let mut actions = self.end_because(pid, fault);
                actions.push(Action::ReportDeath { rank, incarnation, how });
                actions
            }
            (EngineState::SettingUp { pid, rank, incarnation }, Event::SetUp) => {
                let (pid, rank, incarnation) = (*pid, *rank, *incarnation);
                self.state = EngineState::Running { pid, rank, incarnation };
                vec![]
            }
            _ => vec![],
        }
    }

    fn start_requested(&mut self) -> Vec<Action> {
        match &mut self.state {
            EngineState::Stopping { then, .. } => {
                if *then != AfterStop::Stopped(StopReason::Shutdown) {
                    *then = AfterStop::Restart;
                }
                vec![]
            }
            state if state.has_process() || *state == EngineState::Checking => vec![],
            _ => self.look_again(),
        }
    }

    fn formatted(&mut self, replace: bool) -> Vec<Action> {
        if self.state.has_process() {
            return vec![];
        }
        self.replace = replace;
        self.look_again()
    }

    fn look_again(&mut self) -> Vec<Action> {
        if self.state.has_process() || self.state == EngineState::Stopped(StopReason::Shutdown) {
            return vec![];
        }
        self.state = EngineState::Checking;
        self.self_terminated = false;
        vec![Action::Abandon, Action::Look]
    }

    fn looked(&mut self, found: Looked) -> Vec<Action> {
        if self.state != EngineState::Checking {
            return vec![];
        }
        match found {
            Looked::Ready => {
                self.state = EngineState::Starting { pid: None };
                vec![Action::Launch]
            }
            Looked::NeedsFormat(why) => {
                self.state = EngineState::WaitingForFormat(why);
                vec![]
            }
            Looked::Refused(fault) => {
                let how = fault.description.clone();
                self.state = EngineState::Refused(fault);
                vec![Action::ReportAbsence { how }]
            }
        }
    }

    fn end_because(&mut self, pid: Option<u32>, fault: Fault) -> Vec<Action> {
        self.end(pid, AfterStop::Failed(fault))
    }

    /// Ends a process that does not serve yet. Nothing is lost by killing it, and a real engine that waits for its
    /// set-up does not react to softer signals. One that is still being started is ended when it is there.
    fn end(&mut self, pid: Option<u32>, then: AfterStop) -> Vec<Action> {
        self.state = EngineState::Stopping { pid, then };
        match pid {
            Some(_) => vec![Action::Abandon, Action::Stop { kill: true }],
            None => vec![Action::Abandon],
        }
    }

    fn stop_requested(&mut self, kill: bool, reason: StopReason) -> Vec<Action> {
        let then = AfterStop::Stopped(reason);
        match &self.state {
            EngineState::Stopping { pid, .. } => {
                let pid = *pid;
                self.state = EngineState::Stopping { pid, then };
                if kill && pid.is_some() { vec![Action::Stop { kill }] } else { vec![] }
            }
            EngineState::Starting { .. }
            | EngineState::Joining { .. }
            | EngineState::SettingUp { .. } => self.end(self.state.pid(), then),
            EngineState::Running { pid, .. } => {
                self.state = EngineState::Stopping { pid: Some(*pid), then };
                vec![Action::Stop { kill }]
            }
            EngineState::WaitingForFormat(_) | EngineState::Refused(_)
                if reason == StopReason::Requested =>
            {
                vec![]
            }
            _ => {
                self.state = EngineState::Stopped(reason);
                vec![Action::Abandon]
            }
        }
    }

    fn not_there(&mut self) -> Vec<Action> {
        match self.state.clone() {
            EngineState::Stopping { then, .. } => self.ended_as_asked(then, None),
            _ => vec![],
        }
    }

    fn ended_as_asked(&mut self, then: AfterStop, status: Option<ExitStatus>) -> Vec<Action> {
        self.self_terminated = false;
        match then {
            AfterStop::Stopped(reason) => {
                self.state = EngineState::Stopped(reason);
                vec![]
            }
            AfterStop::Restart => {
                self.state = EngineState::Checking;
                vec![Action::Abandon, Action::Look]
            }
            AfterStop::Failed(fault) => {
                self.state = EngineState::Failed { fault, status };
                vec![]
            }
        }
    }

    fn exited(&mut self, status: ExitStatus) -> Vec<Action> {
        match self.state.clone() {
            EngineState::Stopping { then, .. } => self.ended_as_asked(then, Some(status)),
            EngineState::Starting { .. } | EngineState::Joining { .. } => {
                let fault = faults::ended_before_ready(self.index, &status);
                let how = fault.description.clone();
                self.state = EngineState::Failed { fault, status: Some(status) };
                vec![Action::Abandon, Action::ReportAbsence { how }]
            }
            EngineState::SettingUp { rank, incarnation, .. } => {
                let fault = faults::ended_before_ready(self.index, &status);
                self.state = EngineState::Failed { fault, status: Some(status) };
                let how = status.to_string();
                vec![Action::Abandon, Action::ReportDeath { rank, incarnation, how }]
            }
            EngineState::Running { rank, incarnation, .. } => {
                let fault = faults::ended(self.index, rank, &status);
                self.state = EngineState::Failed { fault, status: Some(status) };
                let how = status.to_string();
                let death = Action::ReportDeath { rank, incarnation, how };
                if std::mem::take(&mut self.self_terminated) {
                    vec![Action::PlanRestart(rank), death]
                } else {
                    vec![death]
                }
            }
            _ => vec![],
        }
    }
}

mod faults {
    use daos_membership::Rank;

    use crate::fault::{Fault, code};
    use crate::supervisor::ExitStatus;

    pub fn ended_before_ready(index: u32, status: &ExitStatus) -> Fault {
        Fault::new(
            "server",
            code::ENGINE_ENDED_EARLY,
            format!("engine {index} ended before it was ready: {status}"),
            "read the engine's log file and the server's log lines of this engine, mend the cause, then run \
             'dmg system start' or restart the server",
        )
    }

    pub fn ended(index: u32, rank: Rank, status: &ExitStatus) -> Fault {
        Fault::new(
            "server",
            code::ENGINE_ENDED,
            format!("engine {index} (rank {rank}) ended: {status}"),
            "read the engine's log file, then run 'dmg system start' for this rank",
        )
    }
}

#[cfg(test)]
#[path = "machine_test.rs"]
mod machine_test;
