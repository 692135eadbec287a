//! The simulated supervisor passes the suite of all supervisors.
#![cfg(all(feature = "server", feature = "testing"))]

use std::sync::Arc;

use daos_control::stand_in::{Script, VARIABLE};
use daos_control::supervisor::conformance::{self, Bed};
use daos_control::supervisor::{
    CallLimits, EngineLaunch, SimSupervisor, StopLimits, Supervisor, SupervisorError,
};

struct Sim;

fn launch(index: u32, script: &str) -> EngineLaunch {
    EngineLaunch {
        index,
        program: "sim".into(),
        arguments: Vec::new(),
        environment: vec![(VARIABLE.into(), script.into())],
        working_dir: None,
        limits: StopLimits::default(),
    }
}

impl Bed for Sim {
    fn supervisor(&self, engines: u32, calls: CallLimits) -> Arc<dyn Supervisor> {
        Arc::new(SimSupervisor::new(engines, calls))
    }

    fn launch(&self, index: u32, script: &Script) -> EngineLaunch {
        launch(index, &script.to_string())
    }

    fn leftovers(&self) -> Vec<String> {
        Vec::new()
    }
}

#[tokio::test]
async fn passes_the_suite() {
    assert!(conformance::run(&Sim).await >= 19);
}

#[tokio::test(flavor = "multi_thread")]
async fn passes_the_suite_on_several_threads() {
    conformance::run(&Sim).await;
}

/// Deadlines and delays follow the runtime's clock, so that simulations need no real time.
#[tokio::test(start_paused = true)]
async fn passes_the_suite_on_a_paused_clock() {
    let begun = std::time::Instant::now();
    conformance::run(&Sim).await;
    assert!(begun.elapsed() < std::time::Duration::from_secs(20));
}

#[tokio::test]
async fn refuses_a_script_that_it_cannot_read() {
    let supervisor = SimSupervisor::new(1, CallLimits::default());
    let error = supervisor.start(launch(0, "nonsense")).await.unwrap_err();
    assert!(matches!(error, SupervisorError::Spawn { .. }), "{error}");
}
