//! Preparing and resetting persistent memory on simulated modules, over reboots and failures half way.
//!
//! Goals cannot be had without the hardware: here they are those of the simulation, behind the same traits as the
//! vendor's library and ndctl, and the bodies for real hosts run over them as well.

use std::any::Any;
use std::sync::Arc;

use daos_storage_scm::conformance::{self, ProvisionFixture};
use daos_storage_scm::linux::LinuxScm;
use daos_storage_scm::model::{
    MemoryGoal, NamespaceMode, NamespacesPerSocket, ProvisionOutcome, ProvisionRequest,
    ProvisionStep, ProvisionVerdict, RegionHealth, RegionKind,
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

    fn disable_regions(&self) {
        self.sim.disable_regions(0, true);
        self.sim.disable_regions(1, true);
    }

    fn disable_namespace(&self, name: &str) {
        self.sim.disable_namespace(name, true);
    }

    fn make_devdax(&self, name: &str) {
        self.sim.set_namespace_mode(name, NamespaceMode::Devdax);
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

/// Neither a character device nor what is disabled is given up by new labels: nobody looked at it.
#[rstest]
#[case::devdax(true)]
#[case::disabled(false)]
#[tokio::test]
async fn labels_are_not_written_over_what_nobody_looked_at(#[case] devdax: bool) {
    let sim = virtual_host();
    match devdax {
        true => sim.set_namespace_mode("namespace0.0", NamespaceMode::Devdax),
        false => sim.disable_namespace("namespace0.0", true),
    }
    let refused = ask(&sim, &prepare(1)).await.expect_err("nobody looked");
    assert_eq!(refused.code(), 213);
    assert!(refused.to_string().contains("namespace0.0"), "{refused}");
    let other = ProvisionRequest::Prepare { socket: Some(1), namespaces: Default::default() };
    assert_eq!(ask(&sim, &other).await.expect("the other socket").namespaces.len(), 1);
}

/// R135: memory that has a usable namespace is prepared, whoever made it; without modules there are no labels to write.
#[tokio::test]
async fn a_namespace_without_labels_that_is_usable_is_accepted_r135() {
    let sim = SimScm::new();
    sim.add_virtual_module(0, GIB);
    sim.set_namespace_mode("namespace0.0", NamespaceMode::Fsdax);
    sim.add_platform_memory(1, GIB, NamespaceMode::Fsdax);
    sim.put_signature("/dev/pmem0", "ext4 file system, label \"daos\"");
    let done = ask(&sim, &prepare(1)).await.expect("prepared");
    assert_eq!(done.verdict, ProvisionVerdict::AlreadyPrepared);
    let names: Vec<&str> = done.namespaces.iter().map(|space| space.blockdev.as_str()).collect();
    assert_eq!(names, ["pmem0", "pmem1"]);
    let kept = ask(&sim, &reset(MemoryGoal::AppDirectInterleaved)).await.expect("nothing to do");
    assert_eq!(kept.verdict, ProvisionVerdict::AlreadyReset);
    assert!(kept.notices.iter().any(|note| note.contains("namespace0.0")), "{kept:?}");
    assert_eq!(kept.namespaces.len(), 2, "both are left alone");

    let sim = SimScm::new();
    sim.add_platform_memory(0, GIB, NamespaceMode::Raw);
    let refused = ask(&sim, &prepare(1)).await.expect_err("no module takes labels");
    assert_eq!(refused.code(), 213);
    assert!(refused.to_string().contains("create-namespace -f -e namespace0.0"), "{refused}");
}

/// A crash between the commands of ndctl leaves a region disabled, wherever it comes; the same request goes on from there.
#[rstest]
#[case("init-labels", 2)]
#[case("enable-region", 2)]
#[tokio::test]
async fn a_prepare_cut_off_between_labels_goes_on(#[case] cut: &str, #[case] enabled: usize) {
    let sim = virtual_host();
    let crash = ScmError::System {
        action: "carry on",
        path: "/dev/null".into(),
        source: rustix::io::Errno::INTR,
    };
    sim.fail_next(cut, crash);
    ask(&sim, &prepare(1)).await.expect_err("cut off");
    let plan = sim.plan_provision(&prepare(1)).await.expect("plan");
    assert!(plan.destroys().is_empty(), "{plan}");
    let [ProvisionStep::EnableRegion { region, .. }] = plan.steps() else { panic!("{plan}") };
    assert_eq!(region, "region0");
    let first = ask(&sim, &prepare(1)).await.expect("enable");
    assert!(first.again && first.destroyed.is_empty(), "{first:?}");
    let second = ask(&sim, &prepare(1)).await.expect("go on");
    assert!(!second.again);
    assert_eq!(second.namespaces.len(), enabled);
}

/// What an administrator disabled is looked at before anything else is decided, also by a reset, which finds it in use or wipes it.
#[tokio::test]
async fn a_disabled_region_is_looked_at_before_a_reset() {
    let sim = virtual_host();
    ask(&sim, &prepare(1)).await.expect("prepare");
    sim.put_signature("/dev/pmem0", "xfs file system, label \"home\"");
    sim.disable_regions(0, true);
    let request = reset(MemoryGoal::AppDirectInterleaved);
    let first = ask(&sim, &request).await.expect("enable");
    assert!(first.again && first.verdict == ProvisionVerdict::Changes, "{first:?}");
    let plan = sim.plan_provision(&request).await.expect("plan");
    assert!(plan.destroys().iter().any(|loss| loss.contains("label \"home\"")), "{plan}");
    let done = ask(&sim, &request).await.expect("reset");
    assert_eq!((done.destroyed.len(), done.again), (2, false));
}

/// A namespace that was not looked at was destroyed without being wiped, and what was on it came back in the next one.
#[tokio::test]
async fn nothing_of_before_comes_back_after_a_reset() {
    let sim = virtual_host();
    ask(&sim, &prepare(1)).await.expect("prepare");
    sim.put_signature("/dev/pmem0", "ext4 of DAOS");
    sim.disable_namespace("namespace0.0", true);
    let request = reset(MemoryGoal::AppDirectInterleaved);
    let refused = ask(&sim, &request).await.expect_err("nobody looked");
    assert_eq!(refused.code(), 1501);
    sim.disable_namespace("namespace0.0", false);
    ask(&sim, &request).await.expect("reset");
    let done = ask(&sim, &prepare(1)).await.expect("prepare");
    assert!(done.notices.is_empty(), "blank: {done:?}");

    // Destroyed by other means it does, which is said: who made it may want it.
    sim.put_signature("/dev/pmem0", "xfs file system");
    sim.destroy_by_hand("namespace0.0");
    let done = ask(&sim, &prepare(1)).await.expect("prepare");
    assert!(done.notices.iter().any(|note| note.contains("xfs file system")), "{done:?}");
}

/// What is found below labels that were agreed to be lost is lost.
#[tokio::test]
async fn what_new_labels_gave_up_does_not_come_back() {
    let sim = virtual_host();
    sim.put_signature("/dev/pmem0", "ext4 of DAOS");
    let plan = sim.plan_provision(&prepare(1)).await.expect("plan");
    assert!(plan.destroys().iter().any(|loss| loss.contains("ext4 of DAOS")), "{plan}");
    let done = ask(&sim, &prepare(1)).await.expect("prepare");
    assert!(done.notices.is_empty(), "{done:?}");
    let back = sim.plan_provision(&reset(MemoryGoal::AppDirectInterleaved)).await.expect("plan");
    assert!(back.destroys().iter().all(|loss| loss.contains("zeros")), "{back}");
}

/// A namespace that cannot be read, or looked at, keeps none of the others from being used.
#[tokio::test]
async fn one_unreadable_namespace_blocks_no_other() {
    let sim = two_sockets();
    ask(&sim, &prepare(1)).await.expect("goal");
    sim.reboot();
    let first = ProvisionRequest::Prepare { socket: Some(0), namespaces: Default::default() };
    let made = ask(&sim, &first).await.expect("one");
    let device = format!("/dev/{}", made.namespaces[0].blockdev);
    sim.hide_uses(&device);
    let both = ask(&sim, &prepare(1)).await.expect("the other socket");
    assert_eq!(both.namespaces.len(), 2);
    let request = reset(MemoryGoal::AppDirectInterleaved);
    let refused = ask(&sim, &request).await.expect_err("nobody can see who uses it");
    assert_eq!(refused.code(), 1501);

    let sim = virtual_host();
    ask(&sim, &prepare(1)).await.expect("prepare");
    sim.break_medium("/dev/pmem0");
    ask(&sim, &prepare(1)).await.expect("prepared as before");
    let plan = sim.plan_provision(&request).await.expect("plan");
    assert!(plan.destroys().iter().any(|loss| loss.contains("cannot be read")), "{plan}");
    ask(&sim, &request).await.expect("reset");
}

/// A namespace whose making was cut off is raw, as somebody's may be: it is told, and a reset is the way out.
#[tokio::test]
async fn a_namespace_that_was_never_made_usable_is_told() {
    let sim = virtual_host();
    let one = ProvisionRequest::Prepare { socket: Some(0), namespaces: Default::default() };
    let two = NamespacesPerSocket::new(2).expect("1 to 4");
    let plan = ask(&sim, &ProvisionRequest::Prepare { socket: Some(0), namespaces: two }).await;
    plan.expect("two");
    sim.destroy_by_hand("namespace0.1");
    sim.set_namespace_mode("namespace0.0", NamespaceMode::Raw);
    let more = ProvisionRequest::Prepare { socket: Some(0), namespaces: two };
    let done = ask(&sim, &more).await.expect("the other one");
    let told = done.notices.iter().any(|note| note.contains("(/dev/pmem0) is of mode raw"));
    assert!(told && done.namespaces.len() == 1, "{done:?}");
    ask(&sim, &reset(MemoryGoal::AppDirectInterleaved)).await.expect("reset");
    assert_eq!(ask(&sim, &one).await.expect("prepare").namespaces.len(), 1);
}
