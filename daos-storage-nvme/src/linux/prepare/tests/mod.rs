//! Whole prepares and resets over a kernel that reacts, one after the other; `cuts` ends them in the middle.

mod cuts;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Command, Stdio};

use super::super::fake_kernel::FakeKernel;
use super::super::record::{RECORD_FILE, RecordedPages};
use super::own::Owner;
use super::*;
use crate::NodeHugepages;

const A: &str = "0000:81:00.0";
const B: &str = "0000:82:00.0";

fn two_cards() -> FakeKernel {
    let kernel = FakeKernel::new();
    kernel.plug(A, 7, "LAB-A");
    kernel.plug(B, 8, "LAB-B");
    kernel
}

/// Somebody else when this is root, otherwise oneself, to whom everybody may give files.
fn owner() -> Owner {
    let me = fs::metadata("/proc/self").unwrap();
    let (uid, gid) = if me.uid() == 0 { (65534, 65534) } else { (me.uid(), me.gid()) };
    Owner { name: "somebody".to_owned(), uid, gid }
}

fn root() -> Owner {
    let me = fs::metadata("/proc/self").unwrap();
    Owner { name: "root".to_owned(), uid: 0, gid: me.gid() }
}

fn pages(numbers: [u64; 2]) -> Vec<NodeHugepages> {
    (0..).zip(numbers).map(|(node, pages)| NodeHugepages { node, pages }).collect()
}

fn prepare(kernel: &FakeKernel, request: &PrepareRequest) -> Result<PrepareOutcome, BdevError> {
    Preparation::begin(kernel, &kernel.state_dir())?.prepare_for(&owner(), request)
}

fn reset(kernel: &FakeKernel) -> ResetOutcome {
    let state_dir = kernel.state_dir();
    Preparation::begin(kernel, &state_dir).unwrap().reset(&ResetRequest::default()).unwrap()
}

fn everything() -> PrepareRequest {
    PrepareRequest { hugepages: pages([64, 64]), ..PrepareRequest::default() }
}

fn only(slot: &str) -> PrepareRequest {
    PrepareRequest { include: Some(vec![slot.parse().unwrap()]), ..PrepareRequest::default() }
}

fn drivers(controllers: &Controllers) -> Vec<String> {
    let driver = |(_, result): &(_, Result<String, Arc<BdevError>>)| match result {
        Ok(driver) => driver.clone(),
        Err(error) => error.code().to_string(),
    };
    controllers.iter().map(driver).collect()
}

fn record(kernel: &FakeKernel) -> PrepareRecord {
    PrepareRecord::load(&kernel.state_dir()).unwrap()
}

fn nothing_is_recorded(kernel: &FakeKernel) -> bool {
    !kernel.state_dir().join(RECORD_FILE).exists()
}

#[test]
fn a_reset_restores_what_was_there_before_the_first_prepare() {
    let kernel = two_cards();
    kernel.set_pages(0, 3);
    kernel.set_pages(1, 5);
    let theirs = kernel.mount("theirs", 0o711);
    let before = kernel.snapshot();
    let done = prepare(&kernel, &everything()).unwrap();
    assert_eq!(drivers(&done.controllers), ["vfio-pci", "vfio-pci"]);
    assert_eq!(done.hugepages, pages([64, 64]));
    let facts = fs::metadata(&theirs).unwrap();
    assert_eq!((facts.uid(), facts.mode() & 0o7777), (owner().uid, 0o711));
    prepare(&kernel, &PrepareRequest { hugepages: pages([9, 9]), ..everything() }).unwrap();
    let back = reset(&kernel);
    assert_eq!(drivers(&back.controllers), ["nvme", "nvme"]);
    assert_eq!((back.notices.len(), kernel.snapshot()), (0, before), "{:?}", back.notices);
    assert!(nothing_is_recorded(&kernel));
}

#[test]
fn what_the_kernel_has_is_never_taken_from_it_by_a_reset() {
    let kernel = two_cards();
    prepare(&kernel, &everything()).unwrap();
    // To uio, and again, as after a change of mind.
    let uio = PrepareRequest { disable_vfio: true, ..everything() };
    let state_dir = kernel.state_dir();
    let root_user = root();
    let done = Preparation::begin(&kernel, &state_dir).unwrap().prepare_for(&root_user, &uio);
    if owner().uid == 65534 {
        assert_eq!(drivers(&done.unwrap().controllers), ["uio_pci_generic", "uio_pci_generic"]);
    }
    let kept = record(&kernel);
    assert!(kept.controllers.iter().all(|kept| kept.driver.as_deref() == Some("nvme")), "{kept:?}");
    // A card that the kernel has again, by whatever way, and that is mounted then.
    kernel.give(A, "nvme");
    kernel.use_namespace(A, true);
    assert_eq!(drivers(&reset(&kernel).controllers), ["nvme", "nvme"]);
    assert!(nothing_is_recorded(&kernel));
}

#[test]
fn a_record_that_names_a_driver_for_user_space_gives_back_to_the_kernel() {
    let kernel = two_cards();
    prepare(&kernel, &everything()).unwrap();
    let mut old = record(&kernel);
    old.controllers[0].driver = Some("vfio-pci".to_owned());
    old.save(&kernel.state_dir()).unwrap();
    assert_eq!(drivers(&reset(&kernel).controllers), ["nvme", "nvme"]);
    // As above, of a card that the kernel has and somebody uses.
    old.controllers.truncate(1);
    old.save(&kernel.state_dir()).unwrap();
    kernel.use_namespace(A, true);
    assert_eq!(drivers(&reset(&kernel).controllers), ["nvme"]);
    assert_eq!(kernel.driver(A).as_deref(), Some("nvme"));
    assert!(nothing_is_recorded(&kernel));
}

#[test]
fn a_controller_that_had_another_driver_for_user_space_goes_to_the_kernel() {
    let kernel = two_cards();
    kernel.give(A, "uio_pci_generic");
    prepare(&kernel, &only(A)).unwrap();
    assert_eq!(record(&kernel).controllers[0].driver, None);
    let back = reset(&kernel);
    assert_eq!(drivers(&back.controllers), ["nvme"]);
    assert_eq!(back.notices.len(), 1, "its serial was not known: {:?}", back.notices);
    assert!(back.notices[0].contains("LAB-A"), "{:?}", back.notices);
    assert!(nothing_is_recorded(&kernel));
}

#[test]
fn a_device_file_that_somebody_else_has_by_now_stays_his() {
    let kernel = two_cards();
    prepare(&kernel, &everything()).unwrap();
    let named = ResetRequest { include: Some(vec![A.parse().unwrap()]), ..ResetRequest::default() };
    let state_dir = kernel.state_dir();
    let back = Preparation::begin(&kernel, &state_dir).unwrap().reset(&named).unwrap();
    assert_eq!(drivers(&back.controllers), ["nvme"]);
    kernel.give(A, "vfio-pci");
    let file = kernel.roots().dev.join("vfio/7");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o660)).unwrap();
    let theirs = kernel.snapshot();
    assert_eq!(drivers(&reset(&kernel).controllers), ["nvme"], "B");
    let key = file.display().to_string();
    assert_eq!(kernel.snapshot()[&key], theirs[&key]);
    assert!(nothing_is_recorded(&kernel));
}

#[test]
fn another_card_in_the_slot_is_told_and_forgotten_and_the_rest_is_restored() {
    let kernel = two_cards();
    let before = kernel.snapshot();
    prepare(&kernel, &everything()).unwrap();
    kernel.exchange(A, "LAB-X");
    let back = reset(&kernel);
    assert_eq!(drivers(&back.controllers), ["nvme", "nvme"]);
    assert_eq!(back.notices.len(), 1, "{:?}", back.notices);
    assert!(back.notices[0].contains("was LAB-A and is LAB-X"), "{:?}", back.notices);
    assert_eq!(kernel.snapshot(), before);
    assert!(nothing_is_recorded(&kernel));
}

#[test]
fn a_controller_that_no_driver_takes_keeps_nothing_else_from_being_restored() {
    let kernel = two_cards();
    prepare(&kernel, &everything()).unwrap();
    kernel.refusing.set("nvme");
    assert_eq!(drivers(&reset(&kernel).controllers), ["1440", "1440"]);
    let kept = record(&kernel);
    assert_eq!((kept.controllers.len(), kept.hugepages.len(), kept.files.len()), (2, 0, 0));
    assert_eq!((kept.mounted, kernel.hugepage_mounts().unwrap().len()), (None, 0));
    kernel.refusing.set("");
    assert_eq!(drivers(&reset(&kernel).controllers), ["nvme", "nvme"]);
    assert!(nothing_is_recorded(&kernel));
}

#[test]
fn as_long_as_a_program_has_a_controller_its_pages_stay() {
    let kernel = two_cards();
    let before = kernel.snapshot();
    prepare(&kernel, &everything()).unwrap();
    let prepared = kernel.snapshot();
    let group = fs::File::open(kernel.roots().dev.join("vfio/7")).unwrap();
    let mut program = Command::new("sleep").arg("600").stdin(Stdio::from(group)).spawn().unwrap();
    let refused = reset(&kernel);
    let now = kernel.snapshot();
    program.kill().unwrap();
    program.wait().unwrap();
    assert_eq!(drivers(&refused.controllers), ["1225", "nvme"]);
    assert!(refused.notices[0].contains("as long as 0000:81:00.0 is in use"));
    assert_eq!((&now["node 0"], &now[A]), (&prepared["node 0"], &prepared[A]));
    assert_eq!(drivers(&reset(&kernel).controllers), ["nvme"]);
    assert_eq!(kernel.snapshot(), before);
    assert!(nothing_is_recorded(&kernel));
}

#[test]
fn what_a_restart_has_undone_is_not_done_again() {
    let kernel = two_cards();
    prepare(&kernel, &everything()).unwrap();
    assert!(record(&kernel).mounted.is_some());
    kernel.boots("second");
    // By then the host is somebody else's: pages of a database, and their mount in the same place.
    kernel.set_pages(0, 8192);
    kernel.mount("hugepages", 0o700);
    let before = kernel.snapshot();
    let back = reset(&kernel);
    assert_eq!(kernel.snapshot(), before);
    assert!(back.notices[0].contains("restarted"), "{:?}", back.notices);
    assert_eq!(drivers(&back.controllers), ["nvme", "nvme"]);
    assert!(nothing_is_recorded(&kernel));
}

#[test]
fn a_prepare_after_a_restart_remembers_the_pages_of_this_boot() {
    let kernel = two_cards();
    prepare(&kernel, &everything()).unwrap();
    kernel.boots("second");
    kernel.set_pages(0, 500);
    prepare(&kernel, &everything()).unwrap();
    assert_eq!(record(&kernel).hugepages[0], RecordedPages { node: 0, pages: 500 });
    reset(&kernel);
    assert_eq!(kernel.snapshot()["node 0"], "500");
}

#[test]
fn a_busy_mount_stays_in_the_record_until_it_can_go() {
    let kernel = two_cards();
    let before = kernel.snapshot();
    prepare(&kernel, &everything()).unwrap();
    kernel.busy.set(true);
    let back = reset(&kernel);
    assert!(back.notices[0].contains("stays mounted"), "{:?}", back.notices);
    assert!(record(&kernel).mounted.is_some());
    kernel.busy.set(false);
    reset(&kernel);
    assert_eq!(kernel.snapshot(), before);
    assert!(nothing_is_recorded(&kernel));
}

#[test]
fn a_mount_that_somebody_else_has_ended_is_forgotten() {
    let kernel = two_cards();
    prepare(&kernel, &everything()).unwrap();
    kernel.unmount_hugepages(&kernel.roots().dev.join("hugepages")).unwrap();
    assert!(reset(&kernel).notices.is_empty());
    assert!(nothing_is_recorded(&kernel));
}

#[test]
fn the_directory_below_a_mount_that_is_gone_keeps_its_owner() {
    let kernel = two_cards();
    let theirs = kernel.mount("theirs", 0o711);
    prepare(&kernel, &everything()).unwrap();
    // Somebody unmounts it; what was below shows again.
    kernel.unmount_hugepages(&theirs).unwrap();
    fs::create_dir(&theirs).unwrap();
    fs::set_permissions(&theirs, fs::Permissions::from_mode(0o750)).unwrap();
    assert!(reset(&kernel).notices.is_empty());
    assert_eq!(fs::metadata(&theirs).unwrap().mode() & 0o7777, 0o750);
    assert!(nothing_is_recorded(&kernel));
}

#[test]
fn too_few_pages_of_one_node_leave_all_nodes_as_they_were() {
    let kernel = two_cards();
    kernel.set_pages(0, 3);
    kernel.set_pages(1, 5);
    let before = kernel.snapshot();
    let asked = PrepareRequest { hugepages: pages([900, 1100]), ..everything() };
    let refused = prepare(&kernel, &asked).unwrap_err();
    assert!(matches!(refused, BdevError::TooFewHugepages { node: 1, asked: 1100, got: 1000 }));
    assert_eq!(kernel.snapshot(), before);
    assert!(nothing_is_recorded(&kernel), "nothing was changed");
    let none = PrepareRequest {
        hugepages: vec![NodeHugepages { node: 0, pages: 9 }, NodeHugepages { node: 9, pages: 9 }],
        ..everything()
    };
    assert!(matches!(prepare(&kernel, &none), Err(BdevError::NotFound { .. })));
    assert_eq!(kernel.snapshot(), before);
}

#[test]
fn a_controller_that_cannot_be_handed_over_is_given_back() {
    let kernel = two_cards();
    kernel.refusing.set("vfio-pci");
    let before = kernel.snapshot();
    let done = prepare(&kernel, &only(A)).unwrap();
    assert_eq!(drivers(&done.controllers), ["1440"], "left as it was");
    assert_eq!(kernel.snapshot(), before);
    assert!(nothing_is_recorded(&kernel));
    // Bound, but without a device file for its user.
    kernel.refusing.set("");
    kernel.lose_group(A);
    let state_dir = kernel.state_dir();
    let begun = Preparation::begin(&kernel, &state_dir).unwrap();
    let done = begun.prepare_for(&root(), &only(A)).unwrap();
    assert_eq!(drivers(&done.controllers), ["304"], "left as it was");
    assert_eq!(kernel.snapshot(), before);
    assert!(nothing_is_recorded(&kernel));
}

#[test]
fn vfio_without_an_iommu_is_for_root_and_comes_back() {
    let kernel = two_cards();
    kernel.lose_group(A);
    let before = kernel.snapshot();
    assert_eq!(drivers(&prepare(&kernel, &only(A)).unwrap().controllers), ["1441"]);
    kernel.makes_group.set(true);
    if owner().uid != 65534 {
        return; // only root gives files to root
    }
    let state_dir = kernel.state_dir();
    let prepare = || {
        let begun = Preparation::begin(&kernel, &state_dir).unwrap();
        drivers(&begun.prepare_for(&root(), &only(A)).unwrap().controllers)
    };
    assert_eq!(prepare(), ["vfio-pci"]);
    assert_eq!(prepare(), ["vfio-pci"], "again");
    let group = kernel.roots().dev.join("vfio/noiommu-7");
    let mut engine =
        Command::new("sleep").arg("60").stdin(fs::File::open(group).unwrap()).spawn().unwrap();
    let kept = drivers(&reset(&kernel).controllers);
    engine.kill().unwrap();
    engine.wait().unwrap();
    assert_eq!(kept, ["1225"], "an engine has it");
    assert_eq!(drivers(&reset(&kernel).controllers), ["nvme"]);
    assert_eq!(kernel.snapshot(), before);
}

#[test]
fn a_controller_whose_group_no_program_could_use_is_given_back() {
    let kernel = two_cards();
    let before = kernel.snapshot();
    kernel.shared.set(true);
    let groups = kernel.roots().sys.join("devices").join(A).join("groups/7/devices/0000:00:1f.2");
    fs::create_dir_all(&groups).unwrap();
    std::os::unix::fs::symlink("../drivers/ahci", groups.join("driver")).unwrap();
    let done = prepare(&kernel, &only(A)).unwrap();
    let error = done.controllers[0].1.as_ref().unwrap_err();
    assert_eq!(error.code(), 1440);
    assert!(error.to_string().ends_with("shared with 0000:00:1f.2 (ahci)"), "{error}");
    assert_eq!(kernel.snapshot(), before);
    assert!(nothing_is_recorded(&kernel));
}

#[test]
fn what_was_not_given_back_is_not_called_as_it_was() {
    let kernel = two_cards();
    kernel.give(A, "uio_pci_generic");
    kernel.refusing.set("vfio-pci");
    let done = prepare(&kernel, &only(A)).unwrap();
    let error = done.controllers[0].1.as_ref().unwrap_err();
    assert_eq!(error.code(), 1490);
    assert!(error.to_string().ends_with("it has driver nvme now"), "{error}");
    assert!(nothing_is_recorded(&kernel));
}

#[test]
fn nobody_is_asked_about_left_over_files_when_there_is_nothing_to_do() {
    let kernel = two_cards();
    let lock = kernel.left().join("spdk_pci_lock_0000:81:00.0");
    fs::write(&lock, "").unwrap();
    let none = PrepareRequest { include: Some(Vec::new()), ..PrepareRequest::default() };
    prepare(&kernel, &none).unwrap();
    assert!(lock.exists());
    prepare(&kernel, &only(A)).unwrap();
    assert!(!lock.exists());
}
