//! What a plan does with NVMe controllers: with the kernel's driver, with a driver for user space, and in between.

use std::sync::Arc;

use daos_storage_nvme::blockdev::{Content, DeviceUse, Signature, SignatureKind};
use daos_storage_nvme::model::{
    DeviceState, FactSource, FormatAbility, NvmeState, ObservedDevice, UserSpace,
};
use daos_storage_nvme::plan::DeviceStep;
use daos_storage_nvme::sim::{blank_namespaces, controller};
use daos_storage_nvme::{
    BdevError, BdevPlan, BdevTarget, BdevTier, FileOwner, Intent, Roles, TierDevices, Verdict, plan,
};

const ADDRESS: &str = "0000:81:00.0";
const GIB: u64 = 1 << 30;
const BOB: FileOwner = FileOwner { uid: 1000, gid: 100 };

fn kernel() -> NvmeState {
    blank_namespaces(controller(ADDRESS.parse().expect("address"), 2, GIB))
}

/// As a scan finds it after a prepare for bob.
fn bound() -> NvmeState {
    let mut state = kernel();
    state.controller.driver = Some("vfio-pci".to_owned());
    state.controller.source = FactSource::RecordedAtPrepare;
    for namespace in &mut state.contents {
        (namespace.identity, namespace.content) = (None, None);
    }
    state.user_space = Some(user_space(true));
    state
}

fn user_space(may_rebind: bool) -> UserSpace {
    UserSpace { driver: "vfio-pci".to_owned(), owner: BOB, mode: 0o600, may_rebind }
}

fn plan_of(state: NvmeState, intent: Intent) -> BdevPlan {
    let devices = TierDevices::Nvme { addresses: vec![ADDRESS.parse().expect("address")] };
    let target = BdevTarget {
        engine: 0,
        host: "n1".to_owned(),
        owner: BOB,
        tiers: vec![BdevTier { tier: 1, roles: Roles::NONE, devices }],
    };
    let device = target.devices().remove(0);
    let observed = [ObservedDevice { device, state: Ok(DeviceState::Nvme(state)) }];
    plan(&target, &observed, intent).expect("a valid target")
}

fn steps(plan: &BdevPlan) -> Vec<DeviceStep> {
    match plan.devices()[0].verdict() {
        Verdict::Proceed { steps, .. } => steps.clone(),
        other => panic!("{other:?}"),
    }
}

fn refused(plan: &BdevPlan) -> Arc<BdevError> {
    match plan.devices()[0].verdict() {
        Verdict::Refused(error) => Arc::clone(error),
        other => panic!("{other:?}"),
    }
}

fn lend(only_ours: bool) -> DeviceStep {
    DeviceStep::LendToKernel { driver: "vfio-pci".to_owned(), only_ours }
}

fn give_back() -> DeviceStep {
    DeviceStep::ReturnToUserSpace { driver: "vfio-pci".to_owned(), owner: BOB, mode: 0o600 }
}

fn file_system() -> Option<Content> {
    let signature = Signature {
        kind: SignatureKind::FileSystem,
        name: "ext4".to_owned(),
        label: None,
        uuid: None,
    };
    Some(Content::Signatures(vec![signature]))
}

/// R145: one namespace alone where the controller can, all where it cannot do less, both ends where it offers no format. Blank ones
/// are left as they are unless a format reaches them anyway.
#[test]
fn r145_the_ability_of_the_controller_decides_how_it_is_formatted() {
    let chosen = |ability| {
        let mut state = kernel();
        (state.ability, state.contents[1].content) = (ability, file_system());
        steps(&plan_of(state, Intent::Reformat))
    };
    assert_eq!(chosen(FormatAbility::EachNamespace), [DeviceStep::FormatNamespace { id: 2 }]);
    assert_eq!(chosen(FormatAbility::AllTogether), [DeviceStep::FormatAllNamespaces]);
    assert_eq!(chosen(FormatAbility::None), [DeviceStep::EraseNamespace { id: 2 }]);
    assert!(steps(&plan_of(kernel(), Intent::Plain)).is_empty(), "blank already");
}

#[test]
fn a_bound_controller_is_lent_to_the_kernel_and_given_back() {
    let plain = plan_of(bound(), Intent::Plain);
    let format = |id| DeviceStep::FormatNamespace { id };
    assert_eq!(steps(&plain), [lend(true), format(1), format(2), give_back()]);
    let reformat = plan_of(bound(), Intent::Reformat);
    assert_eq!(steps(&reformat), [lend(false), format(1), format(2), give_back()]);
    let row = reformat.devices()[0].row();
    assert!(row.destroys, "what cannot be read counts as data");
    assert!(row.identity.ends_with("recorded at prepare"), "{}", row.identity);
    assert!(row.content.contains("namespace 2: not readable while bound to vfio-pci"), "{row:?}");
    assert_eq!(
        row.steps.first().map(String::as_str),
        Some("take it from vfio-pci and give it to the kernel's driver")
    );
    assert_eq!(
        row.steps.last().map(String::as_str),
        Some("give it to vfio-pci again, owner 1000:100, mode 0600")
    );
}

#[test]
fn without_the_right_to_move_it_a_bound_controller_is_refused_with_both_remedies() {
    for state in [bound(), NvmeState { user_space: Some(user_space(false)), ..kernel() }] {
        let state = NvmeState { user_space: Some(user_space(false)), ..state };
        for intent in [Intent::Plain, Intent::Reformat] {
            let error = refused(&plan_of(state.clone(), intent));
            assert_eq!(error.code(), 1446);
            assert!(error.resolution().contains("run the server as root"));
            assert!(error.resolution().contains("nvme reset"));
        }
    }
}

#[test]
fn a_controller_without_a_record_is_refused() {
    let mut unknown = bound();
    unknown.controller.source = FactSource::BusOnly;
    unknown.controller.namespaces.clear();
    unknown.contents.clear();
    let mut unbound = NvmeState { user_space: None, ..bound() };
    unbound.controller.driver = None;
    for (state, driver) in [(unknown, "vfio-pci"), (unbound, "no driver")] {
        let error = refused(&plan_of(state, Intent::Reformat));
        assert_eq!(error.code(), 1445);
        assert!(error.to_string().contains(driver), "{error}");
    }
}

#[test]
fn a_bound_controller_that_a_program_has_open_is_refused() {
    let mut open = bound();
    open.controller.namespaces[0].uses = vec![DeviceUse::BusyExclusive];
    assert_eq!(refused(&plan_of(open, Intent::Reformat)).code(), 1225);
}

#[test]
fn a_namespace_that_could_not_be_looked_at_is_refused_whatever_the_intent() {
    let mut unseen = kernel();
    (unseen.contents[1].identity, unseen.contents[1].content) = (None, None);
    for intent in [Intent::Plain, Intent::Reformat] {
        let error = refused(&plan_of(unseen.clone(), intent));
        assert_eq!(error.code(), 1444);
        assert!(error.to_string().contains("namespace 2"), "{error}");
    }
}

/// A medium that fails may need nothing but a format; who uses it is known all the same.
#[test]
fn what_cannot_be_read_is_formatted_only_when_it_is_given_up() {
    let mut failing = kernel();
    failing.contents[1].content = None;
    let refused_one = refused(&plan_of(failing.clone(), Intent::Plain));
    assert_eq!(refused_one.code(), 1226);
    assert!(refused_one.to_string().contains("namespace 2: cannot be read"), "{refused_one}");
    let reformat = plan_of(failing.clone(), Intent::Reformat);
    assert_eq!(steps(&reformat), [DeviceStep::FormatNamespace { id: 2 }]);
    assert!(reformat.devices()[0].row().destroys);
    failing.controller.namespaces[1].uses = vec![DeviceUse::Swap];
    assert_eq!(refused(&plan_of(failing, Intent::Reformat)).code(), 1225);
}

/// A format that was cut off left it with the kernel's driver.
#[test]
fn what_was_lent_is_given_back_even_when_nothing_is_left_to_format() {
    let mut lent = kernel();
    lent.user_space = Some(user_space(true));
    let plan = plan_of(lent.clone(), Intent::Plain);
    assert_eq!(steps(&plan), [give_back()]);
    assert!(!plan.devices()[0].row().destroys);
    lent.contents[0].content = file_system();
    assert_eq!(refused(&plan_of(lent.clone(), Intent::Plain)).code(), 1226);
    let format = DeviceStep::FormatNamespace { id: 1 };
    assert_eq!(steps(&plan_of(lent, Intent::Reformat)), [format, give_back()]);
}
