use daos_membership::{Incarnation, Rank};

use super::{Action, Event, Looked, Machine, Settled};
use crate::engine::{AfterStop, EngineState, StopReason};
use crate::fault::Fault;
use crate::supervisor::{EngineReady, ExitStatus};

fn ready() -> EngineReady {
    EngineReady {
        uri: "ofi+tcp://127.0.0.1:31316".to_owned(),
        contexts: 3,
        targets: 1,
        incarnation: Incarnation(7),
        secondary_uris: vec![],
        secondary_contexts: vec![],
        check_mode: false,
    }
}

fn settled() -> Settled {
    Settled { rank: Rank::new(0).unwrap(), map_version: 2, incarnation: Incarnation(7) }
}

fn fault() -> Fault {
    Fault::new("server", 1, "broken", "mend it")
}

fn running() -> Machine {
    let mut machine = Machine::new(0);
    machine.on(Event::StartRequested);
    machine.on(Event::Looked(Looked::Ready));
    machine.on(Event::Launched { pid: 41 });
    machine.on(Event::Ready { pid: 41, ready: ready() });
    machine.on(Event::Joined(settled()));
    machine.on(Event::SetUp);
    assert!(matches!(machine.state(), EngineState::Running { pid: 41, .. }));
    machine
}

#[test]
fn goes_from_storage_to_running_in_the_order_of_the_contract() {
    let mut machine = Machine::new(0);
    assert_eq!(machine.on(Event::StartRequested), vec![Action::Abandon, Action::Look]);
    assert_eq!(machine.on(Event::Looked(Looked::Ready)), vec![Action::Launch]);
    assert_eq!(machine.on(Event::Launched { pid: 41 }), vec![]);
    let join = machine.on(Event::Ready { pid: 41, ready: ready() });
    assert_eq!(join, vec![Action::Join { ready: ready(), replace: false }]);
    assert_eq!(machine.on(Event::Joined(settled())), vec![Action::SetUp(settled())]);
    assert_eq!(machine.on(Event::SetUp), vec![]);
    assert_eq!(machine.state().name(), "running");
}

#[test]
fn ready_may_overtake_the_news_of_the_launch() {
    let mut machine = Machine::new(0);
    machine.on(Event::StartRequested);
    machine.on(Event::Looked(Looked::Ready));
    machine.on(Event::Ready { pid: 41, ready: ready() });
    assert_eq!(machine.on(Event::Launched { pid: 41 }), vec![]);
    assert_eq!(machine.state().name(), "joining");
}

#[test]
fn waits_for_a_format_and_starts_by_itself_after_it() {
    let mut machine = Machine::new(0);
    machine.on(Event::StartRequested);
    machine.on(Event::Looked(Looked::NeedsFormat("no superblock".to_owned())));
    assert_eq!(machine.state().name(), "waiting_for_format");
    let actions = machine.on(Event::Formatted { replace: true });
    assert_eq!(actions, vec![Action::Abandon, Action::Look]);
    machine.on(Event::Looked(Looked::Ready));
    let join = machine.on(Event::Ready { pid: 1, ready: ready() });
    assert_eq!(join, vec![Action::Join { ready: ready(), replace: true }]);
}

#[test]
fn an_exit_before_ready_is_a_failure_and_not_a_hang() {
    let mut machine = Machine::new(1);
    machine.on(Event::StartRequested);
    machine.on(Event::Looked(Looked::Ready));
    machine.on(Event::Launched { pid: 41 });
    machine.on(Event::Exited { pid: 41, status: ExitStatus::Code(1) });
    let EngineState::Failed { fault, status } = machine.state() else { panic!("{:?}", machine) };
    assert_eq!(*status, Some(ExitStatus::Code(1)));
    assert!(fault.description.contains("engine 1"), "{fault}");
}

#[test]
fn an_exit_with_status_zero_is_an_event_like_any_other() {
    let mut machine = running();
    let actions = machine.on(Event::Exited { pid: 41, status: ExitStatus::Code(0) });
    assert!(matches!(actions[..], [Action::ReportDeath { .. }]), "{actions:?}");
    assert_eq!(machine.state().name(), "failed");
}

#[test]
fn a_crash_is_not_restarted_but_a_self_termination_is_planned() {
    let mut crashed = running();
    assert_eq!(crashed.on(Event::Exited { pid: 41, status: ExitStatus::Signal(9) }).len(), 1);

    let mut excluded = running();
    excluded.on(Event::SelfTerminated);
    let actions = excluded.on(Event::Exited { pid: 41, status: ExitStatus::Signal(9) });
    assert!(actions.contains(&Action::PlanRestart(Rank::new(0).unwrap())), "{actions:?}");
    assert_eq!(excluded.on(Event::RestartDue), vec![Action::Abandon, Action::Look]);
}

#[test]
fn a_restart_that_is_due_does_not_undo_a_stop() {
    let mut machine = running();
    machine.on(Event::StopRequested { kill: false, reason: StopReason::Requested });
    machine.on(Event::Exited { pid: 41, status: ExitStatus::Code(0) });
    assert_eq!(machine.on(Event::RestartDue), vec![]);
    assert_eq!(machine.state().name(), "stopped");
}

#[test]
fn stop_is_graceful_when_running_and_a_kill_before() {
    let mut machine = running();
    let stop = Event::StopRequested { kill: false, reason: StopReason::Requested };
    assert_eq!(machine.on(stop.clone()), vec![Action::Stop { kill: false }]);
    let kill = Event::StopRequested { kill: true, reason: StopReason::Requested };
    assert_eq!(machine.on(kill), vec![Action::Stop { kill: true }]);

    let mut early = Machine::new(0);
    early.on(Event::StartRequested);
    early.on(Event::Looked(Looked::Ready));
    early.on(Event::Launched { pid: 41 });
    assert_eq!(early.on(stop), vec![Action::Abandon, Action::Stop { kill: true }]);
}

#[test]
fn what_is_stopped_before_it_is_there_is_killed_when_it_comes() {
    let mut machine = Machine::new(0);
    machine.on(Event::StartRequested);
    machine.on(Event::Looked(Looked::Ready));
    let stop = Event::StopRequested { kill: false, reason: StopReason::Requested };
    assert_eq!(machine.on(stop), vec![Action::Abandon]);
    assert!(machine.state().has_process());
    assert_eq!(machine.on(Event::Launched { pid: 41 }), vec![Action::Stop { kill: true }]);
    machine.on(Event::NotThere);
    assert_eq!(machine.state().name(), "stopped");
}

#[test]
fn a_start_while_stopping_is_remembered() {
    let mut machine = running();
    machine.on(Event::StopRequested { kill: false, reason: StopReason::Requested });
    machine.on(Event::StartRequested);
    assert!(matches!(machine.state(), EngineState::Stopping { then: AfterStop::Restart, .. }));
    assert_eq!(
        machine.on(Event::Exited { pid: 41, status: ExitStatus::Code(0) }),
        vec![Action::Abandon, Action::Look]
    );
}

#[test]
fn nothing_starts_again_after_shutdown() {
    let mut machine = running();
    machine.on(Event::StopRequested { kill: false, reason: StopReason::Shutdown });
    machine.on(Event::StartRequested);
    machine.on(Event::Exited { pid: 41, status: ExitStatus::Code(0) });
    assert_eq!(*machine.state(), EngineState::Stopped(StopReason::Shutdown));
    assert_eq!(machine.on(Event::StartRequested), vec![]);
    assert_eq!(machine.on(Event::Formatted { replace: false }), vec![]);
}

#[test]
fn a_refused_join_ends_the_process_and_keeps_the_reason() {
    let mut machine = Machine::new(0);
    machine.on(Event::StartRequested);
    machine.on(Event::Looked(Looked::Ready));
    machine.on(Event::Ready { pid: 41, ready: ready() });
    let actions = machine.on(Event::JoinRefused(fault()));
    assert_eq!(actions, vec![Action::Abandon, Action::Stop { kill: true }]);
    machine.on(Event::Exited { pid: 41, status: ExitStatus::Signal(9) });
    assert!(matches!(machine.state(), EngineState::Failed { fault: kept, .. } if *kept == fault()));
}

#[test]
fn a_format_does_not_touch_a_running_engine() {
    let mut machine = running();
    assert_eq!(machine.on(Event::Formatted { replace: false }), vec![]);
    assert_eq!(machine.on(Event::FormatReset), vec![]);
    assert_eq!(machine.state().name(), "running");
}

#[test]
fn late_answers_change_nothing() {
    let mut machine = running();
    for late in [
        Event::Looked(Looked::Ready),
        Event::Joined(settled()),
        Event::JoinRefused(fault()),
        Event::ReadyTimedOut(fault()),
        Event::SetUpFailed(fault()),
    ] {
        assert_eq!(machine.on(late), vec![]);
        assert_eq!(machine.state().name(), "running");
    }
}

#[test]
fn late_news_of_an_earlier_process_are_not_those_of_the_present_one() {
    let mut machine = running();
    let earlier = Event::Exited { pid: 40, status: ExitStatus::Signal(9) };
    assert_eq!(machine.on(earlier.clone()), vec![]);
    assert_eq!(machine.state().name(), "running");

    let mut starting = Machine::new(0);
    starting.on(Event::StartRequested);
    starting.on(Event::Looked(Looked::Ready));
    starting.on(Event::Launched { pid: 41 });
    assert_eq!(starting.on(earlier), vec![]);
    assert_eq!(starting.on(Event::Ready { pid: 40, ready: ready() }), vec![]);
    assert_eq!(starting.state().name(), "starting");
}

/// A member that joined and never served is not left as one that is there.
#[test]
fn an_end_between_join_and_service_is_reported_to_the_system() {
    let settling = || {
        let mut machine = Machine::new(0);
        machine.on(Event::StartRequested);
        machine.on(Event::Looked(Looked::Ready));
        machine.on(Event::Launched { pid: 41 });
        machine.on(Event::Ready { pid: 41, ready: ready() });
        machine.on(Event::Joined(settled()));
        machine
    };
    let reported = |actions: &[Action]| {
        let own = |action: &Action| matches!(action, Action::ReportDeath { rank, incarnation: Incarnation(7), .. } if rank.get() == 0);
        actions.iter().any(own)
    };
    let actions = settling().on(Event::Exited { pid: 41, status: ExitStatus::Signal(6) });
    assert!(reported(&actions), "{actions:?}");
    let mut refused = settling();
    let actions = refused.on(Event::SetUpFailed(fault()));
    assert!(reported(&actions) && actions.contains(&Action::Stop { kill: true }), "{actions:?}");
    let actions = refused.on(Event::Exited { pid: 41, status: ExitStatus::Signal(9) });
    assert!(!reported(&actions), "once is enough: {actions:?}");
}

#[test]
fn what_does_not_come_up_is_told_to_the_system() {
    let absent = |actions: &[Action]| {
        actions.iter().any(|action| matches!(action, Action::ReportAbsence { .. }))
    };
    let mut refused = Machine::new(0);
    refused.on(Event::StartRequested);
    assert!(absent(&refused.on(Event::Looked(Looked::Refused(fault())))));

    let mut unlaunched = Machine::new(0);
    unlaunched.on(Event::StartRequested);
    unlaunched.on(Event::Looked(Looked::Ready));
    assert!(absent(&unlaunched.on(Event::LaunchFailed(fault()))));
}
