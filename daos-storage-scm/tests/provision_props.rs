//! What provisioning decides, over all states a host can be in: made-up facts, no tools.

use daos_storage_scm::model::{
    AppDirectRegion, GoalSupport, Labels, MemoryGoal, NamespaceFacts, NamespaceMode, NamespaceUse,
    NamespacesPerSocket, PendingGoal, PmemFacts, ProvisionRequest, ProvisionStep, RegionFacts,
    RegionHealth, RegionKind, ScmModule, SocketState,
};
use daos_storage_scm::plan::{plan_provision, socket_state};
use proptest::prelude::*;
use rstest::rstest;

const GIB: u64 = 1 << 30;
const ALIGN: u64 = 16 << 20;

fn goals() -> impl Strategy<Value = GoalSupport> {
    let unavailable = |code: i32| GoalSupport::Unavailable {
        code,
        why: "made up".to_owned(),
        resolution: "nothing".to_owned(),
    };
    prop_oneof![
        4 => Just(GoalSupport::Vendor { version: "3".to_owned() }),
        3 => Just(GoalSupport::Fixed),
        1 => Just(unavailable(1)),
        1 => Just(unavailable(2)),
        1 => Just(unavailable(1460)),
    ]
}

fn kind() -> impl Strategy<Value = RegionKind> {
    prop_oneof![
        6 => Just(RegionKind::AppDirect),
        2 => Just(RegionKind::AppDirectNotInterleaved),
        1 => Just(RegionKind::Volatile),
        1 => Just(RegionKind::Unknown),
    ]
}

fn health() -> impl Strategy<Value = RegionHealth> {
    prop_oneof![
        8 => Just(RegionHealth::Normal),
        1 => Just(RegionHealth::Error),
        1 => Just(RegionHealth::Pending),
        1 => Just(RegionHealth::Locked),
        2 => Just(RegionHealth::Unknown),
    ]
}

fn mode() -> impl Strategy<Value = NamespaceMode> {
    prop_oneof![
        6 => Just(NamespaceMode::Fsdax),
        1 => Just(NamespaceMode::Devdax),
        1 => Just(NamespaceMode::Sector),
        1 => Just(NamespaceMode::Raw),
    ]
}

fn used() -> impl Strategy<Value = NamespaceUse> {
    let words =
        |word: &'static str| prop_oneof![6 => Just(vec![]), 1 => Just(vec![word.to_owned()])];
    let content = prop::option::of(Just("ext4".to_owned()));
    let problem = |why: &'static str| prop::option::weighted(0.1, Just(why.to_owned()));
    (
        words("/mnt/data"),
        words("active swap space"),
        content,
        problem("I/O error"),
        problem("denied"),
    )
        .prop_map(|(mounted, held, content, unread, unseen)| {
            let content = content.filter(|_| unread.is_none());
            NamespaceUse { mounted, held, content, unread, unseen }
        })
}

prop_compose! {
    fn region(number: u32)(
        socket in 0_u32..2,
        kind in kind(),
        health in health(),
        labelled in prop::bool::weighted(0.8),
        named in prop::bool::weighted(0.95),
        disabled in prop::bool::weighted(0.1),
        of_modules in prop::bool::weighted(0.9),
        alone in prop::bool::weighted(0.5),
        free in prop_oneof![Just(0_u64), 1..256 * GIB, Just(64 * GIB)],
        spaces in prop::collection::vec((mode(), used(), prop::bool::weighted(0.9)), 0..4),
    ) -> RegionFacts {
        // As the two tools tell it: what is in a disabled region does not show, what is disabled has no mode.
        let shown = match (disabled, !labelled && alone) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => spaces.len(),
        };
        let namespaces = spaces.into_iter().take(shown).zip(0..).map(|((mode, used, enabled), place): (_, u32)| {
            let seen = enabled && mode != NamespaceMode::Devdax;
            NamespaceFacts {
                name: format!("namespace{number}.{place}"),
                uuid: format!("uuid-{number}-{place}"),
                mode: if enabled { mode } else { NamespaceMode::Unknown },
                disabled: !enabled,
                size: GIB,
                blockdev: seen.then(|| format!("pmem{number}.{place}")),
                numa_node: socket,
                used: if seen { used } else { NamespaceUse::default() },
            }
        });
        RegionFacts {
            region: AppDirectRegion {
                id: number, iset_id: 7 + u64::from(number), socket, kind,
                capacity: 300 * GIB, free_capacity: free, health, module_ids: vec![number],
            },
            name: named.then(|| format!("region{number}")),
            align: ALIGN,
            labels: if labelled { Labels::Ready } else { Labels::Missing },
            disabled: disabled && named,
            dimms: of_modules.then(|| format!("nmem{number}")).into_iter().collect(),
            modules: of_modules.then(|| format!("uid-{number}")).into_iter().collect(),
            namespaces: namespaces.collect(),
        }
    }
}

fn pending() -> impl Strategy<Value = Vec<PendingGoal>> {
    let goal = prop_oneof![
        Just(Some(MemoryGoal::AppDirectInterleaved)),
        Just(Some(MemoryGoal::MemoryMode)),
        Just(None),
    ];
    let one = (0_u32..2, 0_u32..4, goal, prop::option::weighted(0.2, Just("refused".to_owned())));
    prop::collection::vec(one, 0..4).prop_map(|all| {
        let each = all.into_iter().map(|(socket, module, goal, refused)| PendingGoal {
            socket,
            module: format!("uid-{module}"),
            goal,
            refused,
        });
        each.collect()
    })
}

prop_compose! {
    fn facts()(
        goals in goals(),
        modules in prop::collection::vec(0_u32..2, 0..5),
        pending in prop_oneof![3 => Just(vec![]), 1 => pending()],
        first in prop::option::weighted(0.8, region(0)),
        second in prop::option::weighted(0.5, region(1)),
    ) -> PmemFacts {
        let modules = modules.into_iter().zip(0..).map(|(socket, number): (_, u32)| ScmModule {
            physical_id: number, socket, uid: format!("uid-{number}"), ..ScmModule::default()
        });
        PmemFacts {
            goals, modules: modules.collect(), pending,
            regions: first.into_iter().chain(second).collect(),
        }
    }
}

fn request() -> impl Strategy<Value = ProvisionRequest> {
    let socket = || prop::option::of(0_u32..3);
    let goal = prop_oneof![Just(MemoryGoal::AppDirectInterleaved), Just(MemoryGoal::MemoryMode)];
    prop_oneof![
        3 => (socket(), 1_u8..=4).prop_map(|(socket, count)| ProvisionRequest::Prepare {
            socket, namespaces: NamespacesPerSocket::new(count).expect("1 to 4"),
        }),
        1 => socket().prop_map(|socket| ProvisionRequest::SetInterleaved { socket }),
        3 => (socket(), goal).prop_map(|(socket, goal)| ProvisionRequest::Reset { socket, goal }),
    ]
}

fn region_of<'a>(facts: &'a PmemFacts, name: &str) -> &'a RegionFacts {
    let found = facts.regions.iter().find(|region| region.name.as_deref() == Some(name));
    found.expect("a region of this host")
}

/// Nobody uses it, and that could be seen.
fn is_known_to_be_free(space: &NamespaceFacts) -> bool {
    let seen =
        !space.disabled && space.mode != NamespaceMode::Devdax && space.used.unseen.is_none();
    seen && space.blockdev.is_some() && space.used.mounted.is_empty() && space.used.held.is_empty()
}

/// The namespaces that are gone after a step, or after the reboot that it asks for.
fn given_up<'a>(facts: &'a PmemFacts, step: &ProvisionStep) -> Vec<&'a NamespaceFacts> {
    let spaces = facts.regions.iter().flat_map(|region| &region.namespaces);
    match step {
        ProvisionStep::DestroyNamespace { uuid, .. } => {
            spaces.filter(|space| space.uuid == *uuid).collect()
        }
        ProvisionStep::InitialiseLabels { region, .. } => {
            region_of(facts, region).namespaces.iter().collect()
        }
        ProvisionStep::CreateGoal { socket, .. } => {
            let own = facts.regions.iter().filter(|region| {
                let of_modules = region.name.is_none() || !region.dimms.is_empty();
                region.region.socket == *socket
                    && region.region.kind != RegionKind::Volatile
                    && of_modules
            });
            own.flat_map(|region| &region.namespaces).collect()
        }
        ProvisionStep::EnableRegion { .. }
        | ProvisionStep::CreateNamespace { .. }
        | ProvisionStep::DeleteGoals { .. } => Vec::new(),
    }
}

/// Socket that a step is about.
fn socket_of(facts: &PmemFacts, step: &ProvisionStep) -> u32 {
    match step {
        ProvisionStep::EnableRegion { region, .. }
        | ProvisionStep::InitialiseLabels { region, .. }
        | ProvisionStep::CreateNamespace { region, .. } => region_of(facts, region).region.socket,
        ProvisionStep::DestroyNamespace { uuid, .. } => {
            let own = |region: &&RegionFacts| region.namespaces.iter().any(|s| s.uuid == *uuid);
            facts.regions.iter().find(own).expect("a namespace of this host").region.socket
        }
        ProvisionStep::DeleteGoals { socket } | ProvisionStep::CreateGoal { socket, .. } => *socket,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_host_is_like_nothing_is_lost_that_may_not_be(facts in facts(), request in request()) {
        let Ok(plan) = plan_provision(&request, &facts) else { return Ok(()) };
        prop_assert_eq!(&plan, &plan_provision(&request, &facts).expect("the same again"));
        let destructive = plan.steps().iter().any(ProvisionStep::is_destructive);
        prop_assert_eq!(destructive, !plan.destroys().is_empty(), "consent exactly where something is lost");
        let vendor = matches!(facts.goals, GoalSupport::Vendor { .. });
        for step in plan.steps() {
            let socket = socket_of(&facts, step);
            prop_assert!(request.socket().is_none_or(|wanted| wanted == socket), "another socket");
            for space in given_up(&facts, step) {
                prop_assert!(is_known_to_be_free(space), "{} goes, and nobody looked", space.name);
                let named = plan.destroys().iter().any(|loss| {
                    let what = space.used.content.as_deref().or(space.used.unread.as_deref()).unwrap_or("zeros");
                    loss.contains(&space.name) && loss.contains(what) && loss.contains(&space.size.to_string())
                });
                prop_assert!(named, "{} goes without being named: {}", space.name, plan);
            }
            match step {
                ProvisionStep::EnableRegion { region, modules } => {
                    let region = region_of(&facts, region);
                    prop_assert!(region.disabled && region.modules == *modules);
                    let others = plan.steps().iter().filter(|step| !matches!(step, ProvisionStep::EnableRegion { .. }));
                    prop_assert_eq!(others.count(), 0, "something is decided before it is seen");
                }
                ProvisionStep::DestroyNamespace { .. } => {
                    let is_reset = matches!(request, ProvisionRequest::Reset { .. });
                    prop_assert!(is_reset, "only a reset destroys");
                }
                ProvisionStep::InitialiseLabels { region, dimms, .. } => {
                    let region = region_of(&facts, region);
                    prop_assert_eq!(region.labels, Labels::Missing, "valid labels are never written over");
                    prop_assert!(!dimms.is_empty(), "labels of no module");
                    let modes: Vec<NamespaceMode> = region.namespaces.iter().map(|space| space.mode).collect();
                    prop_assert_eq!(modes, [NamespaceMode::Raw], "labels only over one raw namespace");
                }
                ProvisionStep::CreateNamespace { region, modules, size_bytes, wipe } => {
                    let region = region_of(&facts, region);
                    prop_assert_eq!(*wipe, region.labels == Labels::Missing, "wiped is what was given up");
                    prop_assert_eq!(&region.modules, modules);
                    prop_assert!(*size_bytes > 0 && size_bytes.is_multiple_of(ALIGN));
                    prop_assert!(region.region.kind != RegionKind::Volatile);
                    prop_assert!(!vendor || region.region.kind == RegionKind::AppDirect);
                    let healthy = !matches!(region.region.health, RegionHealth::Error | RegionHealth::Locked);
                    prop_assert!(healthy);
                }
                ProvisionStep::CreateGoal { .. } | ProvisionStep::DeleteGoals { .. } => {
                    prop_assert!(vendor, "a goal without the library");
                    prop_assert!(plan.reboot_required());
                }
            }
        }
        for region in &facts.regions {
            let own = plan.steps().iter().filter_map(|step| match step {
                ProvisionStep::CreateNamespace { region: name, size_bytes, .. }
                    if Some(name) == region.name.as_ref() => Some(*size_bytes),
                _ => None,
            });
            let (count, sum) = own.fold((0, 0), |(count, sum), size| (count + 1, sum + size));
            let room = match region.labels {
                Labels::Ready => region.region.free_capacity,
                Labels::Missing => region.region.capacity,
            };
            prop_assert!(sum <= room, "more than there is");
            if let ProvisionRequest::Prepare { namespaces, .. } = &request {
                let there = if region.labels == Labels::Ready { region.namespaces.len() } else { 0 };
                prop_assert!(count == 0 || there + count == usize::from(namespaces.get()));
            }
        }
    }

    /// A goal is never set over namespaces: the library refuses it, and the data would be lost.
    #[test]
    fn goals_are_set_only_where_no_namespace_is_left(facts in facts(), request in request()) {
        let Ok(plan) = plan_provision(&request, &facts) else { return Ok(()) };
        let goals = plan.steps().iter().zip(0..).filter(|(step, _)| matches!(step, ProvisionStep::CreateGoal { .. }));
        for (step, place) in goals {
            let socket = socket_of(&facts, step);
            let earlier = plan.steps().get(..place).unwrap_or_default();
            let regions = facts.regions.iter().filter(|region| region.region.socket == socket);
            let spaces = regions
                .filter(|region| region.region.kind != RegionKind::Volatile && region.labels == Labels::Ready)
                .filter(|region| region.name.is_none() || !region.dimms.is_empty())
                .flat_map(|region| &region.namespaces);
            for space in spaces {
                let pending = facts.pending.iter().any(|goal| goal.socket == socket);
                let gone = earlier.iter().any(|step| {
                    matches!(step, ProvisionStep::DestroyNamespace { uuid, .. } if *uuid == space.uuid)
                });
                // With a goal that waits already, the platform has accepted that they go.
                prop_assert!(gone || pending, "a goal over {}", space.name);
            }
        }
    }

    /// What is used keeps a reset from being made at all, and what is on a namespace is named before it goes.
    #[test]
    fn a_reset_names_what_it_destroys(facts in facts(), goal in Just(MemoryGoal::AppDirectInterleaved)) {
        let request = ProvisionRequest::Reset { socket: None, goal };
        let Ok(plan) = plan_provision(&request, &facts) else { return Ok(()) };
        for step in plan.steps() {
            if let ProvisionStep::DestroyNamespace { name, .. } = step {
                prop_assert!(plan.destroys().iter().any(|loss| loss.contains(name.as_str())));
            }
        }
    }
}

fn one_region(change: impl FnOnce(&mut RegionFacts)) -> PmemFacts {
    let mut region = RegionFacts {
        region: AppDirectRegion {
            id: 0,
            iset_id: 7,
            socket: 0,
            kind: RegionKind::AppDirect,
            capacity: 64 * GIB,
            free_capacity: 64 * GIB,
            health: RegionHealth::Normal,
            module_ids: vec![28],
        },
        name: Some("region0".to_owned()),
        align: ALIGN,
        disabled: false,
        labels: Labels::Ready,
        dimms: vec!["nmem0".to_owned()],
        modules: vec!["a".to_owned()],
        namespaces: Vec::new(),
    };
    change(&mut region);
    PmemFacts {
        goals: GoalSupport::Vendor { version: "3".to_owned() },
        modules: vec![ScmModule { uid: "a".to_owned(), ..ScmModule::default() }],
        pending: Vec::new(),
        regions: vec![region],
    }
}

fn space(place: u32, mode: NamespaceMode) -> NamespaceFacts {
    NamespaceFacts {
        name: format!("namespace0.{place}"),
        uuid: format!("uuid-{place}"),
        mode,
        size: 32 * GIB,
        blockdev: Some(format!("pmem0.{place}")),
        ..NamespaceFacts::default()
    }
}

fn half_used(region: &mut RegionFacts) {
    region.namespaces = vec![space(0, NamespaceMode::Fsdax)];
    region.region.free_capacity = 32 * GIB;
}

fn full(region: &mut RegionFacts) {
    region.namespaces = vec![space(0, NamespaceMode::Fsdax), space(1, NamespaceMode::Sector)];
    region.region.free_capacity = 0;
}

fn unlabelled(region: &mut RegionFacts) {
    region.labels = Labels::Missing;
    region.region.free_capacity = 0;
    region.namespaces = vec![space(0, NamespaceMode::Raw)];
}

fn devdax(region: &mut RegionFacts) {
    region.namespaces[0].mode = NamespaceMode::Devdax;
    region.namespaces[0].blockdev = None;
}

fn disabled(region: &mut RegionFacts) {
    let space = &mut region.namespaces[0];
    (space.mode, space.disabled, space.blockdev) = (NamespaceMode::Unknown, true, None);
}

/// A host whose memory the platform's tables tell of, without any module.
fn no_module(mode: NamespaceMode) -> PmemFacts {
    let facts = one_region(|region| {
        unlabelled(region);
        region.namespaces[0].mode = mode;
        region.dimms.clear();
        region.modules.clear();
    });
    PmemFacts { modules: Vec::new(), goals: GoalSupport::Fixed, ..facts }
}

/// The table of 2.2 with the states of 2.8: state, and what a prepare of one namespace does.
#[rstest]
#[case::free(one_region(|_| {}), "free capacity", Ok(1))]
#[case::no_regions(PmemFacts { regions: Vec::new(), ..one_region(|_| {}) }, "no regions", Ok(1))]
#[case::memory_mode(one_region(|r| r.region.kind = RegionKind::Volatile), "no regions", Ok(1))]
#[case::full(one_region(full), "no free capacity", Ok(0))]
#[case::partly(one_region(half_used), "partly free", Err(213))]
#[case::not_interleaved(one_region(|r| r.region.kind = RegionKind::AppDirectNotInterleaved), "not interleaved", Err(212))]
#[case::unhealthy(one_region(|r| r.region.health = RegionHealth::Error), "not healthy", Err(212))]
#[case::unknown(one_region(|r| r.region.kind = RegionKind::Unknown), "unknown mode", Err(213))]
#[case::hidden(one_region(|r| r.name = None), "does not show", Err(213))]
#[case::labels(one_region(unlabelled), "labels are not initialised", Ok(2))]
#[case::no_namespace(one_region(|r| r.labels = Labels::Missing), "shows no namespace", Err(213))]
#[case::unlabelled_devdax(one_region(|r| { unlabelled(r); devdax(r); }), "of mode devdax", Err(213))]
#[case::unlabelled_disabled(one_region(|r| { unlabelled(r); disabled(r); }), "namespace0.0 is disabled", Err(213))]
#[case::unlabelled_sector(one_region(|r| { unlabelled(r); r.namespaces[0].mode = NamespaceMode::Sector; }), "of mode sector", Err(213))]
#[case::unlabelled_fsdax_r135(one_region(|r| { unlabelled(r); r.namespaces[0].mode = NamespaceMode::Fsdax; }), "no free capacity", Ok(0))]
#[case::raw_of_no_module(no_module(NamespaceMode::Raw), "it takes no labels", Err(213))]
#[case::fsdax_of_no_module_r135(no_module(NamespaceMode::Fsdax), "no free capacity", Ok(0))]
#[case::disabled(one_region(|r| r.disabled = true), "region0 is disabled", Ok(1))]
#[case::full_of_devdax(one_region(|r| { full(r); r.namespaces.truncate(1); devdax(r); }), "no free capacity", Err(213))]
#[case::full_of_disabled(one_region(|r| { full(r); r.namespaces.truncate(1); disabled(r); }), "no free capacity", Err(213))]
#[case::none_of_use(one_region(|r| { full(r); r.namespaces.remove(0); }), "no free capacity", Err(213))]
fn states_and_what_a_prepare_does_r133(
    #[case] facts: PmemFacts,
    #[case] state: &str,
    #[case] steps: Result<usize, i32>,
) {
    let one = NamespacesPerSocket::default();
    let found = socket_state(&facts, 0, one).to_string();
    assert!(found.contains(state), "{found}");
    let request = ProvisionRequest::Prepare { socket: None, namespaces: one };
    let plan = plan_provision(&request, &facts).map(|plan| plan.steps().len());
    assert_eq!(plan.map_err(|error| error.code()), steps);
}

/// E18: a region that has fewer namespaces than wanted gets the others, of what is left.
#[test]
fn a_region_with_room_gets_what_is_missing_e18() {
    let facts = one_region(half_used);
    let two = NamespacesPerSocket::new(2).expect("two");
    assert_eq!(socket_state(&facts, 0, two), SocketState::FreeCapacity);
    let plan = plan_provision(&ProvisionRequest::Prepare { socket: None, namespaces: two }, &facts);
    let plan = plan.expect("plan");
    let [ProvisionStep::CreateNamespace { size_bytes, .. }] = plan.steps() else {
        panic!("{plan}")
    };
    assert_eq!(*size_bytes, 32 * GIB);
    assert!(plan.destroys().is_empty());
}

#[test]
fn sizes_are_equal_and_aligned() {
    let facts = one_region(|region| region.region.free_capacity = 64 * GIB + 5);
    let three = NamespacesPerSocket::new(3).expect("three");
    let plan =
        plan_provision(&ProvisionRequest::Prepare { socket: None, namespaces: three }, &facts);
    let sizes: Vec<u64> = plan
        .expect("plan")
        .steps()
        .iter()
        .filter_map(|step| match step {
            ProvisionStep::CreateNamespace { size_bytes, .. } => Some(*size_bytes),
            _ => None,
        })
        .collect();
    assert_eq!(sizes.len(), 3);
    assert!(sizes.iter().all(|size| size.is_multiple_of(ALIGN) && *size == sizes[0]), "{sizes:?}");
    assert!(64 * GIB - 3 * sizes[0] < 3 * ALIGN, "hardly anything is left over");
}

/// What nobody can look at is no one's to destroy, and the refusal says how it can be looked at.
#[rstest]
#[case::disabled(one_region(|r| { full(r); disabled(r); }), "ndctl enable-namespace namespace0.0")]
#[case::devdax(one_region(|r| { full(r); devdax(r); }), "ndctl destroy-namespace -f namespace0.0")]
#[case::not_permitted(one_region(|r| { full(r); r.namespaces[0].used.unseen = Some("denied".to_owned()); }), "run as root")]
fn a_reset_refuses_what_cannot_be_looked_at_r134(#[case] facts: PmemFacts, #[case] remedy: &str) {
    let request = ProvisionRequest::Reset { socket: None, goal: MemoryGoal::AppDirectInterleaved };
    let refused = plan_provision(&request, &facts).expect_err("nobody looked");
    assert_eq!(refused.code(), 1501);
    assert!(refused.to_string().contains("namespace0.0"), "{refused}");
    assert!(refused.resolution().contains(remedy), "{}", refused.resolution());
}

/// A medium that fails does not keep it from being given back; that it could not be read is said.
#[test]
fn a_reset_names_what_cannot_be_read() {
    let facts = one_region(|region| {
        full(region);
        region.namespaces[1].used.unread = Some("Input/output error".to_owned());
    });
    let request = ProvisionRequest::Reset { socket: None, goal: MemoryGoal::AppDirectInterleaved };
    let plan = plan_provision(&request, &facts).expect("plan");
    let told = plan.destroys().iter().any(|loss| {
        loss.contains("namespace0.1") && loss.contains("cannot be read (Input/output error)")
    });
    assert!(told, "{plan}");
}
