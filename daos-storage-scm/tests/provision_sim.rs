//! Preparing and resetting persistent memory on simulated modules, over reboots and failures half way.
//!
//! Goals cannot be had without the hardware: here they are those of the simulation, behind the same traits as the
//! vendor's library and ndctl, and the bodies for real hosts run over them as well.

use std::any::Any;
use std::sync::Arc;

use daos_storage_scm::conformance::{self, ProvisionFixture};
use daos_storage_scm::linux::LinuxScm;
use daos_storage_scm::model::{
    MemoryGoal, NamespacesPerSocket, ProvisionOutcome, ProvisionRequest, ProvisionStep,
    ProvisionVerdict, RegionHealth, RegionKind,
};
use daos_storage_scm::sim::SimScm;
use daos_storage_scm::{
    Discovered, Intent, PlanFacts, ScanRequest, ScmError, ScmParams, ScmProvider, ScmTarget,
    SilentObserver, plan,
};
use rstest::rstest;

const GIB: u64 = 1 << 30;

struct Simulated {
    sim: SimScm,
    real_body: bool,
    goals: bool,
}

impl ProvisionFixture for Simulated {
    fn provider(&self) -> Arc<dyn ScmProvider> {
        match self.real_body {
            true => Arc::new(LinuxScm::new().with_pmem_tools(self.sim.pmem_tools())),
            false => Arc::new(self.sim.clone()),
        }
    }

    fn reboot(&self) {
        self.sim.reboot();
    }

    fn takes_goals(&self) -> bool {
        self.goals
    }

    fn use_device(&self, blockdev: &str) -> Box<dyn Any> {
        let (sim, device) = (self.sim.clone(), format!("/dev/{blockdev}"));
        sim.use_device(&device, "active swap space");
        Box::new(OnDrop(move || sim.release_device(&device)))
    }
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn two_sockets() -> SimScm {
    let sim = SimScm::new();
    sim.add_modules(0, 3, 128 * GIB);
    sim.add_modules(1, 3, 128 * GIB);
    sim
}

fn virtual_host() -> SimScm {
    let sim = SimScm::new();
    sim.add_virtual_module(0, GIB);
    sim.add_virtual_module(1, GIB);
    sim
}

#[rstest]
#[case::simulated(false)]
#[case::body_of_real_hosts(true)]
#[tokio::test]
async fn modules_with_goals_pass_the_suite(#[case] real_body: bool) {
    let fixture = |_: &str| {
        let (sim, goals) = (two_sockets(), true);
        Some(Box::new(Simulated { sim, real_body, goals }) as Box<dyn ProvisionFixture>)
    };
    conformance::run_provision(fixture).await.assert_passed();
}

#[rstest]
#[case::simulated(false)]
#[case::body_of_real_hosts(true)]
#[tokio::test]
async fn virtual_modules_pass_the_suite(#[case] real_body: bool) {
    let fixture = |_: &str| {
        let (sim, goals) = (virtual_host(), false);
        Some(Box::new(Simulated { sim, real_body, goals }) as Box<dyn ProvisionFixture>)
    };
    conformance::run_provision(fixture).await.assert_passed();
}

fn prepare(count: u8) -> ProvisionRequest {
    let namespaces = NamespacesPerSocket::new(count).expect("1 to 4");
    ProvisionRequest::Prepare { socket: None, namespaces }
}

fn reset(goal: MemoryGoal) -> ProvisionRequest {
    ProvisionRequest::Reset { socket: None, goal }
}

async fn ask(sim: &SimScm, request: &ProvisionRequest) -> Result<ProvisionOutcome, ScmError> {
    let plan = sim.plan_provision(request).await?;
    let digest = plan.digest().clone();
    sim.provision(plan.accept(&digest)?, &SilentObserver).await
}

/// R133, R137, 2.2: Memory Mode, goal, reboot, namespaces, format; reset, reboot, and back to Memory Mode.
#[tokio::test]
async fn the_whole_road_there_and_back_r133_r137() {
    let sim = two_sockets();
    let first = ask(&sim, &prepare(1)).await.expect("goals");
    assert!(first.reboot_required && first.goals.len() == 6, "{first:?}");
    assert_eq!(first.verdict, ProvisionVerdict::Changes);
    let scanned = sim.scan(&ScanRequest::default()).await.expect("scan");
    assert_eq!(scanned.goals.len(), 6);
    assert_eq!(scanned.regions.known().len(), 0);

    sim.reboot();
    let scanned = sim.scan(&ScanRequest::default()).await.expect("scan");
    let [one, two] = scanned.regions.known() else { panic!("{:?}", scanned.regions) };
    assert_eq!((one.kind, two.kind), (RegionKind::AppDirect, RegionKind::AppDirect));
    assert_eq!(one.capacity, 3 * 128 * GIB);
    let second = ask(&sim, &prepare(1)).await.expect("namespaces");
    assert!(!second.reboot_required && second.namespaces.len() == 2, "{second:?}");

    let device = format!("/dev/{}", second.namespaces[0].blockdev);
    let target = ScmTarget::from_params(ScmParams {
        mount_point: "/mnt/daos0".into(),
        devices: Some(vec![device.into()]),
        ..ScmParams::default()
    })
    .expect("a target");
    let observed = sim.observe(&target).await.expect("observe");
    let format = plan(&target, &observed, Intent::Plain, &PlanFacts::default()).expect("blank");
    let digest = format.digest().clone();
    sim.format(format.accept(&digest).expect("its own"), &SilentObserver).await.expect("format");
    let refused = ask(&sim, &reset(MemoryGoal::MemoryMode)).await.expect_err("mounted");
    assert_eq!(refused.code(), 103);
    assert!(refused.to_string().contains("/mnt/daos0"), "{refused}");

    sim.unmount(&target).await.expect("unmount");
    let back = sim.plan_provision(&reset(MemoryGoal::MemoryMode)).await.expect("a plan");
    assert!(back.destroys().iter().any(|loss| loss.contains("ext4 of DAOS")), "{back}");
    let gone = ask(&sim, &reset(MemoryGoal::MemoryMode)).await.expect("reset");
    assert!(gone.reboot_required && gone.destroyed.len() == 2, "{gone:?}");
    sim.reboot();
    let scanned = sim.scan(&ScanRequest::default()).await.expect("scan");
    assert!(scanned.regions.known().is_empty() && scanned.namespaces.known().is_empty());
    let again = ask(&sim, &reset(MemoryGoal::MemoryMode)).await.expect("nothing to do");
    assert_eq!((again.verdict, again.reboot_required), (ProvisionVerdict::AlreadyReset, false));
}

/// A failure at any step leaves what the same request goes on from.
#[rstest]
#[case("create-goal")]
#[case("create-namespace")]
#[tokio::test]
async fn a_prepare_that_fails_half_way_goes_on(#[case] step: &str) {
    let sim = two_sockets();
    let failure = || ScmError::System {
        action: "carry on",
        path: "/dev/null".into(),
        source: rustix::io::Errno::IO,
    };
    sim.fail_next(step, failure());
    let mut rounds = 0;
    loop {
        rounds += 1;
        assert!(rounds < 8, "it does not end");
        match ask(&sim, &prepare(2)).await {
            Ok(done) if done.reboot_required => sim.reboot(),
            Ok(done) => {
                assert_eq!(done.namespaces.len(), 4, "{done:?}");
                assert!(done.namespaces.iter().all(|space| space.size == 192 * GIB));
                return;
            }
            Err(error) => assert_eq!(error.code(), 1214, "{error}"),
        }
    }
}

#[tokio::test]
async fn the_second_of_two_namespaces_is_made_after_a_crash() {
    let sim = SimScm::new();
    sim.add_modules(0, 2, 128 * GIB);
    ask(&sim, &prepare(2)).await.expect("goal");
    sim.reboot();
    let plan = sim.plan_provision(&prepare(2)).await.expect("plan");
    let [ProvisionStep::CreateNamespace { region, size_bytes, .. }, _] = plan.steps() else {
        panic!("{plan}")
    };
    sim.pmem_tools().namespaces.create(region, *size_bytes).await.expect("the first of them");
    let rest = sim.plan_provision(&prepare(2)).await.expect("plan");
    assert_eq!(rest.steps(), &plan.steps()[1..], "only the other one, of the same size");
    let done = ask(&sim, &prepare(2)).await.expect("prepare");
    assert_eq!(done.namespaces.len(), 2);
}

#[tokio::test]
async fn one_socket_alone_is_prepared_and_reset() {
    let sim = two_sockets();
    let only =
        ProvisionRequest::Prepare { socket: Some(1), namespaces: NamespacesPerSocket::default() };
    let first = ask(&sim, &only).await.expect("goal");
    assert!(first.goals.iter().all(|goal| goal.socket == 1), "{first:?}");
    sim.reboot();
    let done = ask(&sim, &only).await.expect("namespace");
    assert_eq!(done.namespaces.iter().map(|space| space.numa_node).collect::<Vec<_>>(), [1]);
    let other = ask(&sim, &prepare(1)).await.expect("the other socket");
    assert!(other.reboot_required, "socket 0 still is in Memory Mode");
    assert_eq!(other.namespaces.len(), 1, "and socket 1 has what it had");
}

/// T7, R136: the goal alone; regions that are not interleaved are an error, and a reset is the way out.
#[tokio::test]
async fn set_interleaved_sets_the_goal_and_finds_what_is_not_r136() {
    let sim = two_sockets();
    let request = ProvisionRequest::SetInterleaved { socket: None };
    let set = ask(&sim, &request).await.expect("goal");
    assert!(set.reboot_required && set.namespaces.is_empty(), "{set:?}");
    assert_eq!(
        set.goals[0].to_string(),
        "socket 0 module 8089-a2-1748-00000000: interleaved AppDirect at the next reboot"
    );
    let waits = ask(&sim, &request).await.expect("still");
    assert!(waits.reboot_required && waits.goals == set.goals);
    sim.reboot();
    let there = ask(&sim, &request).await.expect("done");
    assert_eq!((there.verdict, there.reboot_required), (ProvisionVerdict::AlreadyPrepared, false));

    sim.split_region(0);
    for request in [request, prepare(1)] {
        let refused = ask(&sim, &request).await.expect_err("not interleaved");
        assert_eq!(refused.code(), 212);
        assert!(refused.to_string().contains("not interleaved"), "{refused}");
    }
    let out = ask(&sim, &reset(MemoryGoal::AppDirectInterleaved)).await.expect("reset");
    assert!(out.reboot_required, "{out:?}");
    sim.reboot();
    ask(&sim, &prepare(1)).await.expect("interleaved again");
}

#[tokio::test]
async fn a_goal_that_the_platform_refused_is_told_and_set_anew() {
    let sim = two_sockets();
    ask(&sim, &prepare(1)).await.expect("goal");
    sim.refuse_goals(0, "not enough resources");
    sim.reboot();
    let plan = sim.plan_provision(&prepare(1)).await.expect("plan");
    assert!(plan.notices().iter().any(|note| note.contains("not enough resources")), "{plan}");
    assert!(plan.steps().contains(&ProvisionStep::DeleteGoals { socket: 0 }), "{plan}");
    let again = ask(&sim, &prepare(1)).await.expect("again");
    assert!(again.reboot_required && again.goals.iter().all(|goal| goal.refused.is_none()));
}

#[rstest]
#[case(RegionHealth::Error, "error")]
#[case(RegionHealth::Locked, "locked")]
#[case(RegionHealth::Unknown, "unknown")]
#[tokio::test]
async fn regions_that_are_not_healthy_are_refused(
    #[case] health: RegionHealth,
    #[case] word: &str,
) {
    let sim = two_sockets();
    ask(&sim, &prepare(1)).await.expect("goal");
    sim.reboot();
    sim.set_region_health(1, health);
    let refused = ask(&sim, &prepare(1)).await.expect_err("not healthy");
    assert_eq!(refused.code(), 212);
    assert!(refused.to_string().contains(word), "{refused}");
    let scanned = sim.scan(&ScanRequest::default()).await.expect("scan");
    assert!(scanned.namespaces.known().is_empty(), "nothing was made on the other socket either");
}

/// R113: none, missing and refused are three answers.
#[tokio::test]
async fn tools_that_are_missing_or_wrong_are_told_r113() {
    let none = ask(&SimScm::new(), &prepare(1)).await.expect("no modules is no error");
    assert_eq!(none.verdict, ProvisionVerdict::NoModules);

    let sim = two_sockets();
    sim.set_ipmctl(None);
    let scanned = sim.scan(&ScanRequest::default()).await.expect("scan");
    let Discovered::Unknown { code: 1, why, resolution } = scanned.modules else { panic!("known") };
    assert!(why.contains("6 modules") && resolution.contains("libipmctl"), "{why} {resolution}");
    let refused = ask(&sim, &prepare(1)).await.expect_err("no library");
    assert_eq!(refused.code(), 1);
    assert!(refused.resolution().contains("libipmctl"));

    sim.set_ipmctl(Some("02.00.00.3809"));
    assert_eq!(ask(&sim, &prepare(1)).await.expect_err("bad version").code(), 2);

    let sim = virtual_host();
    sim.set_ndctl(false);
    let refused = ask(&sim, &prepare(1)).await.expect_err("no ndctl");
    assert_eq!(refused.code(), 1);
    assert!(refused.resolution().contains("install ndctl"));
    sim.set_ipmctl(None);
    sim.set_ndctl(true);
    let done = ask(&sim, &prepare(1)).await.expect("virtual modules need no library");
    assert_eq!(done.namespaces.len(), 2);
}

/// A raw namespace over a whole unlabelled module may be somebody's disk.
#[tokio::test]
async fn labels_are_not_written_over_what_is_used_and_content_is_named() {
    let sim = virtual_host();
    sim.put_signature("/dev/pmem1", "xfs file system, label \"home\"");
    let plan = sim.plan_provision(&prepare(1)).await.expect("plan");
    assert!(plan.destroys().iter().any(|loss| loss.contains("label \"home\"")), "{plan}");
    sim.use_device("/dev/pmem1", "active swap space");
    let refused = sim.plan_provision(&prepare(1)).await.expect_err("in use");
    assert_eq!(refused.code(), 1201);
    let unsupported = ProvisionRequest::SetInterleaved { socket: None };
    sim.release_device("/dev/pmem1");
    ask(&sim, &prepare(1)).await.expect("prepare");
    assert_eq!(ask(&sim, &unsupported).await.expect_err("no goals").code(), 1212);
    let memory = reset(MemoryGoal::MemoryMode);
    assert_eq!(ask(&sim, &memory).await.expect_err("no goals").code(), 1212);
}
