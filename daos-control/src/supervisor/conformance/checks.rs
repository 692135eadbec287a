//! The rules, one function each. Most are rows of what real engines were seen to do, or weaknesses to avoid.

use std::time::Duration;

use super::session::{Exit, GRACEFUL, LONG, Session, map, rank};
use super::{Bed, Check};
use crate::drpc::RasId;
use crate::supervisor::{
    CallLimits, EngineEventKind, EngineSignal, ExitCause, ExitStatus, LogMasks, StopHow,
    SupervisorError,
};
use tokio::time::{Instant, timeout};

const SIGABRT: ExitStatus = ExitStatus::Signal(6);
const SIGKILL: ExitStatus = ExitStatus::Signal(9);
const SHORT: Duration = Duration::from_millis(200);

macro_rules! checks {
    ($($check:ident)*) => {
        /// All rules.
        pub const CHECKS: &[Check] = &[
            $(Check { name: stringify!($check), run: |bed| Box::pin($check(bed)) },)*
        ];
    };
}

checks! {
    an_engine_goes_from_start_to_service_to_its_end
    an_end_before_ready_is_an_event
    an_engine_that_never_gets_ready_can_be_ended
    engines_do_not_wait_for_each_other
    steps_out_of_order_are_never_sent
    a_refused_step_is_told_with_its_status
    an_answer_against_the_protocol_is_told_as_such
    a_set_up_without_answer_is_never_repeated
    group_maps_only_go_forward
    group_maps_never_go_side_by_side
    a_crash_is_an_event_and_the_engine_starts_anew
    a_self_termination_is_reported_with_its_newer_incarnation
    deafness_ends_with_the_deadline
    before_its_set_up_an_engine_gets_little_time
    a_kill_overtakes_a_graceful_stop
    a_call_ends_with_its_engine
    what_does_not_run_or_exist_is_said_so
    signals_reach_the_engine
    shutdown_ends_everything_and_refuses_more
}

async fn an_engine_goes_from_start_to_service_to_its_end(bed: &dyn Bed) {
    let mut session = Session::new(bed, 1);
    let pid = session.start(0, "").await;
    let ready = session.ready(0).await;
    assert!(!ready.uri.is_empty() && ready.targets > 0 && ready.contexts > 0);
    let supervisor = session.supervisor.clone();
    supervisor.ping(0).await.expect("a ready engine answers");
    session.set_rank(0).await;
    supervisor.update_group(0, &map(2, 1)).await.expect("between rank and set-up");
    supervisor.set_up(0).await.expect("set up");
    supervisor.update_group(0, &map(3, 2)).await.expect("after set-up");
    let masks = LogMasks { masks: "DEBUG".into(), streams: String::new() };
    supervisor.set_log_masks(0, &masks).await.expect("log masks");
    for device in supervisor.devices(0).await.expect("devices") {
        supervisor.device_health(0, &device.uuid).await.expect("health of a device it told of");
    }
    let unknown = supervisor.device_health(0, "no such device").await.expect_err("unknown");
    assert!(matches!(unknown, SupervisorError::Answered { status: -1005, .. }), "{unknown}");
    supervisor.prepare_shutdown(0).await.expect("prepare shutdown");
    let status = supervisor.stop(0, GRACEFUL).await.expect("stop");
    assert_eq!(status, Some(ExitStatus::Code(0)));
    let exit =
        Exit { pid, status: ExitStatus::Code(0), was_ready: true, cause: ExitCause::Stopped };
    assert_eq!(session.exited(0).await, exit);
    session.close().await;
}

/// The original waits for such an engine for ever.
async fn an_end_before_ready_is_an_event(bed: &dyn Bed) {
    let mut session = Session::new(bed, 1);
    for code in [0, 7] {
        let pid = session.start(0, &format!("exit-before-ready={code}")).await;
        let status = ExitStatus::Code(code);
        let exit = Exit { pid, status, was_ready: false, cause: ExitCause::Itself };
        assert_eq!(session.exited(0).await, exit, "also the end with 0 is an event (E31)");
    }
    session.close().await;
}

async fn an_engine_that_never_gets_ready_can_be_ended(bed: &dyn Bed) {
    let mut session = Session::new(bed, 1);
    for how in [GRACEFUL, StopHow::Kill] {
        let pid = session.start(0, "never-ready").await;
        let status = session.supervisor.stop(0, how).await.expect("stop").expect("it ran");
        let exit = session.exited(0).await;
        assert_eq!((exit.pid, exit.status, exit.was_ready), (pid, status, false));
    }
    session.close().await;
}

/// W28: a slow engine holds up nobody.
async fn engines_do_not_wait_for_each_other(bed: &dyn Bed) {
    let mut session = Session::new(bed, 2);
    let slow = session.start(0, "never-ready").await;
    let quick = session.start_up(1, "").await;
    assert_ne!(slow, quick);
    let starts_early = session.supervisor.set_rank(0, rank(0), 1).await;
    assert!(matches!(starts_early, Err(SupervisorError::OutOfOrder { index: 0, .. })));
    session.supervisor.stop(0, StopHow::Kill).await.expect("stop");
    session.exited(0).await;
    session.supervisor.ping(1).await.expect("the other one still runs");
    session.close().await;
}

/// Real engines abort on a second set-up and refuse what comes too early.
async fn steps_out_of_order_are_never_sent(bed: &dyn Bed) {
    let mut session = Session::new(bed, 1);
    session.start_ready(0, "").await;
    let supervisor = session.supervisor.clone();
    let refused = |result: Result<(), SupervisorError>| {
        let error = result.expect_err("out of order");
        assert!(matches!(error, SupervisorError::OutOfOrder { index: 0, .. }), "{error}");
        assert!(error.is_transient());
    };
    refused(supervisor.set_up(0).await);
    refused(supervisor.update_group(0, &map(1, 1)).await);
    refused(supervisor.prepare_shutdown(0).await);
    session.set_rank(0).await;
    refused(supervisor.set_rank(0, rank(0), 1).await);
    supervisor.set_up(0).await.expect("set up");
    refused(supervisor.set_up(0).await);
    refused(supervisor.set_rank(0, rank(0), 1).await);
    supervisor.ping(0).await.expect("it lives");
    session.close().await;
}

async fn a_refused_step_is_told_with_its_status(bed: &dyn Bed) {
    let mut session = Session::new(bed, 2);
    session.start_ready(0, "set-rank=-1003").await;
    let error = session.supervisor.set_rank(0, rank(0), 1).await.expect_err("refused");
    assert!(matches!(error, SupervisorError::Answered { index: 0, status: -1003, .. }), "{error}");
    assert_eq!(error.code(), 1270);
    session.start_ready(1, "set-up=-1014,group-update=-1036").await;
    session.set_rank(1).await;
    let error = session.supervisor.update_group(1, &map(2, 1)).await.expect_err("refused");
    assert!(matches!(error, SupervisorError::Answered { status: -1036, .. }), "{error}");
    for _ in 0..2 {
        let error = session.supervisor.set_up(1).await.expect_err("refused, and may be repeated");
        assert!(matches!(error, SupervisorError::Answered { status: -1014, .. }), "{error}");
    }
    session.close().await;
}

async fn an_answer_against_the_protocol_is_told_as_such(bed: &dyn Bed) {
    let mut session = Session::new(bed, 2);
    session.start_ready(0, "set-rank=garbage").await;
    let error = session.supervisor.set_rank(0, rank(0), 1).await.expect_err("garbage");
    assert!(matches!(error, SupervisorError::BadAnswer { .. }), "{error}");
    session.start_ready(1, "set-rank=fail").await;
    let error = session.supervisor.set_rank(1, rank(1), 1).await.expect_err("a failed call");
    assert_eq!(error.code(), 1262, "{error}");
    session.close().await;
}

async fn a_set_up_without_answer_is_never_repeated(bed: &dyn Bed) {
    let calls = CallLimits { set_up: SHORT, ..CallLimits::default() };
    let mut session = Session::with(bed, 2, calls);
    session.start_ready(0, "set-up=hang").await;
    session.set_rank(0).await;
    let error = session.supervisor.set_up(0).await.expect_err("no answer");
    assert_eq!(error.code(), 1261, "{error}");
    let error = session.supervisor.set_up(0).await.expect_err("must not be sent again");
    assert!(matches!(error, SupervisorError::OutOfOrder { .. }), "{error}");

    // The same when whoever asked does not wait for the answer.
    session.start_ready(1, "set-up=hang").await;
    session.set_rank(1).await;
    let given_up = timeout(SHORT / 4, session.supervisor.set_up(1)).await;
    assert!(given_up.is_err());
    let error = session.supervisor.set_up(1).await.expect_err("must not be sent again");
    assert!(matches!(error, SupervisorError::OutOfOrder { .. }), "{error}");
    session.close().await;
}

async fn group_maps_only_go_forward(bed: &dyn Bed) {
    let mut session = Session::new(bed, 1);
    let first = session.start_up(0, "").await;
    let supervisor = session.supervisor.clone();
    supervisor.update_group(0, &map(5, 2)).await.expect("a first map");
    supervisor.update_group(0, &map(5, 2)).await.expect("the same map is nothing new");
    let error = supervisor.update_group(0, &map(4, 2)).await.expect_err("an older map");
    assert!(matches!(error, SupervisorError::StaleGroupMap { has: 5, offered: 4, .. }), "{error}");
    let error = supervisor.update_group(0, &map(6, 0)).await.expect_err("an empty map");
    assert!(matches!(error, SupervisorError::EmptyGroupMap { version: 6, .. }), "{error}");
    supervisor.update_group(0, &map(7, 2)).await.expect("a newer map");
    supervisor.stop(0, StopHow::Kill).await.expect("stop");
    session.exited(0).await;
    assert_ne!(session.start_up(0, "").await, first);
    supervisor.update_group(0, &map(3, 1)).await.expect("a new process has no map");
    session.close().await;
}

async fn group_maps_never_go_side_by_side(bed: &dyn Bed) {
    let mut session = Session::new(bed, 1);
    session.start_up(0, "").await;
    let updates = (1..=20).map(|version| {
        let supervisor = session.supervisor.clone();
        tokio::spawn(async move { supervisor.update_group(0, &map(version, 1)).await })
    });
    let mut accepted = Vec::new();
    for update in updates.collect::<Vec<_>>() {
        match update.await.expect("no panic") {
            Ok(()) => accepted.push(()),
            Err(SupervisorError::StaleGroupMap { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert!(!accepted.is_empty());
    let error = session.supervisor.update_group(0, &map(19, 1)).await.expect_err("older");
    assert!(matches!(error, SupervisorError::StaleGroupMap { has: 20, .. }), "{error}");
    session.close().await;
}

async fn a_crash_is_an_event_and_the_engine_starts_anew(bed: &dyn Bed) {
    let mut session = Session::new(bed, 1);
    let pid = session.start_up(0, "crash-after-set-up").await;
    let exit = Exit { pid, status: SIGABRT, was_ready: true, cause: ExitCause::Itself };
    assert_eq!(session.exited(0).await, exit);
    let error = session.supervisor.ping(0).await.expect_err("it is gone");
    assert_eq!(error.code(), 611);
    let again = session.start(0, "").await;
    assert_ne!(again, pid);
    let ready = session.ready(0).await;
    session.set_rank(0).await;
    session.supervisor.set_up(0).await.expect("a new start begins anew");
    session.supervisor.stop(0, StopHow::Kill).await.expect("stop");
    session.exited(0).await;
    session.start(0, "").await;
    assert!(session.ready(0).await.incarnation > ready.incarnation);
    session.close().await;
}

async fn a_self_termination_is_reported_with_its_newer_incarnation(bed: &dyn Bed) {
    let mut session = Session::new(bed, 1);
    session.start(0, "self-terminate").await;
    let joined = session.ready(0).await.incarnation;
    session.set_rank(0).await;
    session.supervisor.set_up(0).await.expect("set up");
    let event = session.next().await;
    let EngineEventKind::Ras(ras) = event.kind else { panic!("expected an event: {event:?}") };
    assert_eq!((event.index, ras.id), (0, RasId::ENGINE_SELF_TERMINATED));
    assert!(ras.incarnation > joined.0);
    assert_eq!(ras.rank, Some(0));
    let exit = session.exited(0).await;
    assert_eq!((exit.status, exit.cause), (SIGKILL, ExitCause::Itself));
    session.close().await;
}

async fn deafness_ends_with_the_deadline(bed: &dyn Bed) {
    let mut session = Session::new(bed, 1);
    let pid = session.start_up(0, "ignore-sigint").await;
    let begun = Instant::now();
    let how = StopHow::Graceful { deadline: SHORT };
    let status = session.supervisor.stop(0, how).await.expect("stop");
    assert_eq!(status, Some(SIGKILL));
    assert!(begun.elapsed() >= SHORT);
    let exit = Exit { pid, status: SIGKILL, was_ready: true, cause: ExitCause::Killed };
    assert_eq!(session.exited(0).await, exit);
    session.close().await;
}

/// Real engines ignore signals while they wait for their set-up, and have nothing to save.
async fn before_its_set_up_an_engine_gets_little_time(bed: &dyn Bed) {
    let mut session = Session::new(bed, 1);
    let script = "ignore-sigint".parse().expect("a script");
    let mut launch = bed.launch(0, &script);
    launch.limits.before_set_up = SHORT;
    session.supervisor.start(launch).await.expect("start");
    session.next().await;
    session.ready(0).await;
    let stopped = timeout(LONG / 2, session.supervisor.stop(0, GRACEFUL)).await;
    assert_eq!(stopped.expect("well before the deadline").expect("stop"), Some(SIGKILL));
    assert_eq!(session.exited(0).await.cause, ExitCause::Killed);
    session.close().await;
}

async fn a_kill_overtakes_a_graceful_stop(bed: &dyn Bed) {
    let mut session = Session::new(bed, 1);
    session.start_up(0, "ignore-sigint").await;
    let supervisor = session.supervisor.clone();
    let (graceful, killed) = tokio::join!(supervisor.stop(0, GRACEFUL), async {
        // The engine answers, so the graceful stop has begun and waits.
        supervisor.ping(0).await.expect("still there");
        timeout(LONG / 2, supervisor.stop(0, StopHow::Kill)).await.expect("at once")
    });
    assert_eq!(graceful.expect("stop"), Some(SIGKILL));
    assert_eq!(killed.expect("stop"), Some(SIGKILL));
    assert_eq!(session.exited(0).await.cause, ExitCause::Killed);
    session.close().await;
}

async fn a_call_ends_with_its_engine(bed: &dyn Bed) {
    let mut session = Session::new(bed, 1);
    session.start_ready(0, "set-up=hang").await;
    session.set_rank(0).await;
    let supervisor = session.supervisor.clone();
    let call = tokio::spawn({
        let supervisor = supervisor.clone();
        async move { supervisor.set_up(0).await }
    });
    // Out of order only once the first one is under way.
    while !matches!(
        supervisor.prepare_shutdown(0).await,
        Err(SupervisorError::OutOfOrder { phase, .. }) if phase.to_string().contains("did not answer")
    ) {
        tokio::task::yield_now().await;
    }
    supervisor.stop(0, StopHow::Kill).await.expect("stop");
    let error = timeout(LONG / 2, call).await.expect("long before the limit of the call");
    let error = error.expect("no panic").expect_err("the engine is gone");
    assert_eq!(error.code(), 611, "{error}");
    session.exited(0).await;
    session.close().await;
}

async fn what_does_not_run_or_exist_is_said_so(bed: &dyn Bed) {
    let mut session = Session::new(bed, 1);
    let supervisor = session.supervisor.clone();
    assert_eq!(supervisor.stop(0, GRACEFUL).await.expect("nothing to stop"), None);
    let error = supervisor.set_up(0).await.expect_err("it does not run");
    assert!(matches!(error, SupervisorError::NotRunning { index: 0 }), "{error}");
    assert_eq!(error.code(), 611);
    let beyond = bed.launch(1, &"".parse().expect("a script"));
    let error = supervisor.start(beyond).await.expect_err("there is no engine 1");
    assert!(matches!(error, SupervisorError::UnknownIndex { index: 1, engines: 1 }), "{error}");
    let pid = session.start(0, "never-ready").await;
    let twice = bed.launch(0, &"".parse().expect("a script"));
    let error = supervisor.start(twice).await.expect_err("it runs");
    assert!(
        matches!(error, SupervisorError::AlreadyRunning { index: 0, pid: found } if found == pid),
        "{error}"
    );
    session.close().await;
}

async fn signals_reach_the_engine(bed: &dyn Bed) {
    let mut session = Session::new(bed, 1);
    let pid = session.start_up(0, "").await;
    session.supervisor.signal(0, EngineSignal::User1).await.expect("signal");
    session.supervisor.ping(0).await.expect("it goes on");
    session.supervisor.signal(0, EngineSignal::Terminate).await.expect("signal");
    let status = ExitStatus::Code(0);
    let exit = Exit { pid, status, was_ready: true, cause: ExitCause::Itself };
    assert_eq!(session.exited(0).await, exit, "nobody asked the supervisor to stop it");
    let error = session.supervisor.signal(0, EngineSignal::User1).await.expect_err("gone");
    assert!(matches!(error, SupervisorError::NotRunning { .. }), "{error}");
    session.close().await;
}

async fn shutdown_ends_everything_and_refuses_more(bed: &dyn Bed) {
    let mut session = Session::new(bed, 3);
    session.start_up(0, "").await;
    session.start_up(1, "ignore-sigint").await;
    session.start(2, "never-ready").await;
    let supervisor = session.supervisor.clone();
    let ended = session.shut_down(StopHow::Graceful { deadline: SHORT }).await;
    let mut indexes: Vec<u32> = ended.iter().map(|event| event.index).collect();
    indexes.sort_unstable();
    assert_eq!(indexes, [0, 1, 2]);
    assert!(ended.iter().all(|event| matches!(event.kind, EngineEventKind::Exited { .. })));
    let late = supervisor.start(bed.launch(0, &"".parse().expect("a script"))).await;
    assert!(matches!(late, Err(SupervisorError::Closed)));
    supervisor.shutdown(StopHow::Kill).await;
}
