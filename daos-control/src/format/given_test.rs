//! What an engine may be given: standings, contents, and what is remembered of them.

use std::sync::Arc;

use daos_storage_nvme::blockdev::{DeviceUse, Signature};
use daos_storage_nvme::model::UserSpace;
use daos_storage_nvme::{BdevTier, FileOwner, Roles, TierDevices, sim};

use super::*;

const FIRST: &str = "0000:81:00.0";
const SECOND: &str = "0000:82:00.0";

fn target(names: &[&str]) -> BdevTarget {
    let addresses = names.iter().map(|name| name.parse().unwrap()).collect();
    let devices = TierDevices::Nvme { addresses };
    BdevTarget {
        engine: 0,
        host: "n1".into(),
        owner: FileOwner::current(),
        tiers: vec![BdevTier { tier: 1, roles: Roles::NONE, devices }],
    }
}

fn card(name: &str, serial: &str, content: Option<Content>) -> NvmeState {
    let mut state = sim::blank_namespaces(sim::controller(name.parse().unwrap(), 1, 1 << 30));
    state.controller.serial = serial.to_owned();
    state.contents[0].content = content;
    state
}

fn signed(kind: SignatureKind, name: &str) -> Option<Content> {
    let signature = Signature { kind, name: name.to_owned(), label: None, uuid: None };
    Some(Content::Signatures(vec![signature]))
}

fn given(name: &str, serial: Option<&str>) -> GivenDevice {
    GivenDevice { name: name.to_owned(), serial: serial.map(str::to_owned), removed: false }
}

fn look(cards: &[NvmeState], before: &[GivenDevice]) -> Result<Judged, Fault> {
    let names: Vec<String> = cards.iter().map(|it| it.controller.address.to_string()).collect();
    let target = target(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let states = cards.iter().map(|card| Ok(DeviceState::Nvme(card.clone())));
    let observed = target.devices().into_iter().zip(states);
    let observed: Vec<_> =
        observed.map(|(device, state)| ObservedDevice { device, state }).collect();
    judge(&target, &observed, before)
}

#[track_caller]
fn refused(cards: &[NvmeState], before: &[GivenDevice], words: &[&str]) {
    let fault = look(cards, before).expect_err("refused");
    assert_eq!(fault.code, 1505);
    for word in words {
        assert!(fault.to_string().contains(word) || fault.resolution.contains(word), "{fault:?}");
    }
}

#[test]
fn an_engine_keeps_what_it_has_whatever_no_tool_knows_on_it() {
    let before = [given(FIRST, Some("A"))];
    for content in [
        None,
        Some(Content::Blank),
        Some(Content::Unrecognised { first_data: 7 }),
        signed(SignatureKind::Blobstore, "SPDK"),
    ] {
        let is_blank = content == Some(Content::Blank);
        let judged = look(&[card(FIRST, "A", content)], &before).unwrap();
        let blank = if is_blank { vec![FIRST.to_owned()] } else { Vec::new() };
        assert_eq!(judged, Judged { given: before.to_vec(), new: Vec::new(), blank });
    }
    // From the file of an earlier server, which knows no serial numbers: noted from now on.
    let judged = look(&[card(FIRST, "A", None)], &[given(FIRST, None)]).unwrap();
    assert_eq!(judged.given, before);
    // With vfio and without a record nobody knows the serial number, and the known one stays.
    let judged = look(&[card(FIRST, "", None)], &before).unwrap();
    assert_eq!(judged.given, before);
}

#[test]
fn what_somebody_else_wrote_since_is_seen_also_on_a_known_device() {
    let before = [given(FIRST, Some("A"))];
    let card = card(FIRST, "A", signed(SignatureKind::FileSystem, "xfs"));
    refused(&[card], &before, &[FIRST, "serial A", "xfs", "was given", "bdev_list"]);
}

#[test]
fn a_new_device_has_to_be_blank_or_ours() {
    let before = [given(FIRST, Some("A"))];
    let mine = card(FIRST, "A", None);
    for content in [Some(Content::Blank), signed(SignatureKind::DaosBlockDevice, "ours")] {
        let judged = look(&[mine.clone(), card(SECOND, "B", content)], &before).unwrap();
        assert_eq!(judged.new, [SECOND]);
        assert_eq!(judged.given, [given(FIRST, Some("A")), given(SECOND, Some("B"))]);
    }
    for (content, word) in [
        (signed(SignatureKind::FileSystem, "xfs"), "xfs"),
        (signed(SignatureKind::Blobstore, "SPDK"), "SPDK"),
        (Some(Content::Unrecognised { first_data: 7 }), "from byte 7"),
    ] {
        let cards = [mine.clone(), card(SECOND, "B", content)];
        refused(&cards, &before, &[SECOND, "serial B", word, "new to the engine", "wipefs"]);
    }
    // Nothing is known of what the engine had: everything is new.
    refused(&[card(FIRST, "A", signed(SignatureKind::Blobstore, "SPDK"))], &[], &[FIRST]);
}

#[test]
fn what_nobody_can_look_at_is_not_given() {
    let mut bound = card(SECOND, "B", None);
    bound.controller.driver = Some("vfio-pci".to_owned());
    bound.controller.source = daos_storage_nvme::model::FactSource::RecordedAtPrepare;
    let owner = FileOwner::current();
    bound.user_space =
        Some(UserSpace { driver: "vfio-pci".to_owned(), owner, mode: 0o600, may_rebind: true });
    refused(&[bound.clone()], &[], &["with vfio-pci nobody", "nvme reset"]);
    bound.controller.source = daos_storage_nvme::model::FactSource::BusOnly;
    bound.contents.clear();
    bound.controller.namespaces.clear();
    refused(&[bound], &[], &["with vfio-pci nobody", "nvme reset"]);
}

#[test]
fn what_is_in_use_or_gone_is_told_as_that() {
    let mut mounted = card(FIRST, "A", Some(Content::Blank));
    mounted.controller.namespaces[0].uses = vec![DeviceUse::Swap];
    refused(&[mounted], &[], &["in use"]);
    let target = target(&[FIRST]);
    let gone = BdevError::NotFound { device: FIRST.to_owned() };
    let device = target.devices().remove(0);
    let observed = [ObservedDevice { device, state: Err(Arc::new(gone)) }];
    assert_eq!(judge(&target, &observed, &[]).unwrap_err().code, 1505);
    // One that it had is the engine's to miss.
    judge(&target, &observed, &[given(FIRST, Some("A"))]).unwrap();
}

#[test]
fn a_card_exchanged_in_its_slot_is_noticed() {
    let before = [given(FIRST, Some("A"))];
    let other = card(FIRST, "B", signed(SignatureKind::Blobstore, "SPDK"));
    refused(&[other], &before, &["serial B", "serial A", "not the device"]);
    let judged = look(&[card(FIRST, "B", Some(Content::Blank))], &before).unwrap();
    let old = GivenDevice { removed: true, ..given(FIRST, Some("A")) };
    assert_eq!(judged.given, [given(FIRST, Some("B")), old.clone()]);
    // The old one back in its place: its contents are the engine's.
    let back = card(FIRST, "A", signed(SignatureKind::Blobstore, "SPDK"));
    let again = look(&[back], &[given(FIRST, Some("B")), old]).unwrap();
    assert_eq!((again.new, again.given[0].serial.as_deref()), (Vec::new(), Some("A")));
}

#[test]
fn a_device_in_another_slot_or_back_in_the_list_is_the_engines_own() {
    let before = [given(FIRST, Some("A")), given(SECOND, Some("B"))];
    let blobs = || signed(SignatureKind::Blobstore, "SPDK");
    let swapped = [card(FIRST, "B", blobs()), card(SECOND, "A", blobs())];
    let judged = look(&swapped, &before).unwrap();
    assert_eq!(judged.given, [given(FIRST, Some("B")), given(SECOND, Some("A"))]);
    let judged = look(&[card(FIRST, "A", None)], &before).unwrap();
    assert_eq!(judged.given[1], GivenDevice { removed: true, ..given(SECOND, Some("B")) });
    look(&[card(FIRST, "A", None), card(SECOND, "B", blobs())], &judged.given).unwrap();
    // Somebody had it meanwhile.
    let used = card(SECOND, "B", signed(SignatureKind::FileSystem, "ext4"));
    refused(&[card(FIRST, "A", None), used], &judged.given, &["ext4", "before"]);
}
