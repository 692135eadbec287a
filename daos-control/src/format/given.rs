//! Which block devices a formatted engine has, and which are new to it since: those may hold nothing that the engine would lose.
//!
//! A plan of a format shows what is on a device. A device that comes to `bdev_list` afterwards is in no plan, so it is judged here
//! before an engine gets it: blank, or marked by our stand-in. The superblock remembers what was given, with serial numbers, since a
//! card can be exchanged in its slot (docs/decisions/0004). Called by `bring_up` and `execute`. Pure.

use daos_storage_nvme::blockdev::{Content, DeviceIdentity, DeviceKind, SignatureKind};
use daos_storage_nvme::engine_config::ConfigDevices;
use daos_storage_nvme::model::{FileContent, FileState, NvmeState};
use daos_storage_nvme::{
    BdevClass, BdevError, BdevTarget, DevicePlan, DeviceRef, DeviceState, EngineDeviceConfig,
    Intent, ObservedDevice, Verdict,
};

use super::faults;
use crate::fault::{Fault, code};
use crate::superblock::GivenDevice;

/// What comes of the judgement.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Judged {
    /// To be written down before the engine starts.
    pub given: Vec<GivenDevice>,
    /// Names of devices that are new to the engine.
    pub new: Vec<String>,
    /// Names of devices that were given to the engine and are seen to be blank.
    pub blank: Vec<String>,
}

/// What a device is to the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    /// It was given to the engine.
    Known,
    /// The engine had it, elsewhere or earlier.
    Returned,
    /// Another one is in its place, whose serial number this is.
    Exchanged { was: String },
    /// Nothing is known of it.
    New,
}

/// Devices of a format, as its superblock remembers them.
pub(super) fn of_format<'a>(
    devices: impl Iterator<Item = (&'a DeviceRef, Option<&'a DeviceState>)>,
) -> Vec<GivenDevice> {
    let lasting = devices.filter(|(device, _)| device.class != BdevClass::Malloc);
    lasting
        .map(|(device, state)| GivenDevice {
            name: device.name.clone(),
            serial: state.and_then(serial),
            removed: false,
        })
        .collect()
}

/// Devices of the file that an engine read at its last start, for superblocks that do not name any.
pub(super) fn of_config(config: Option<&EngineDeviceConfig>) -> Vec<GivenDevice> {
    let names =
        config.iter().flat_map(|config| &config.tiers).flat_map(|tier| match &tier.devices {
            ConfigDevices::Nvme(addresses) => addresses.iter().map(ToString::to_string).collect(),
            ConfigDevices::File(paths) | ConfigDevices::Kdev(paths) => paths.clone(),
            ConfigDevices::Malloc { .. } => Vec::new(),
        });
    names.map(|name| GivenDevice { name, serial: None, removed: false }).collect()
}

/// Judges every device that the engine of `target` was not given before.
///
/// # Errors
/// [`code::START_DEVICE_NOT_BLANK`], which names each that the engine may not have.
pub(super) fn judge(
    target: &BdevTarget,
    observed: &[ObservedDevice],
    before: &[GivenDevice],
) -> Result<Judged, Fault> {
    let plan = daos_storage_nvme::plan(target, observed, Intent::Plain)
        .map_err(|error| faults::of_bdev(&error))?;
    let mut judged = Judged { given: Vec::new(), new: Vec::new(), blank: Vec::new() };
    let mut refused = Vec::new();
    let lasting = |device: &&DevicePlan| device.device().class != BdevClass::Malloc;
    for device in plan.devices().iter().filter(lasting) {
        let name = &device.device().name;
        let now = device.state().and_then(serial);
        let standing = standing(name, now.as_deref(), before);
        if let Err(why) = may_have(device, &standing) {
            refused.push(describe(device, &standing, why));
        }
        if matches!(standing, Standing::New | Standing::Exchanged { .. }) {
            judged.new.push(name.clone());
        }
        let was_there = matches!(standing, Standing::Known | Standing::Exchanged { .. });
        if was_there && device.state().is_some_and(is_seen_blank) {
            judged.blank.push(name.clone());
        }
        let recorded = before.iter().find(|known| known.name == *name && !known.removed);
        let serial = now.or_else(|| recorded.and_then(|known| known.serial.clone()));
        judged.given.push(GivenDevice { name: name.clone(), serial, removed: false });
    }
    if !refused.is_empty() {
        return Err(not_blank(target.engine, &refused));
    }
    let gone = before.iter().filter(|known| {
        known.serial.is_some() && judged.given.iter().all(|given| given.serial != known.serial)
    });
    let gone: Vec<_> = gone.map(|known| GivenDevice { removed: true, ..known.clone() }).collect();
    judged.given.extend(gone);
    Ok(judged)
}

fn standing(name: &str, now: Option<&str>, before: &[GivenDevice]) -> Standing {
    let known = before.iter().find(|known| known.name == name && !known.removed);
    let is_its_own = now.is_some() && before.iter().any(|known| known.serial.as_deref() == now);
    match (known.map(|known| known.serial.as_deref()), now) {
        (Some(Some(was)), Some(now)) if was != now && !is_its_own => {
            Standing::Exchanged { was: was.to_owned() }
        }
        (Some(Some(was)), Some(now)) if was != now => Standing::Returned,
        (Some(_), _) => Standing::Known,
        (None, _) if is_its_own => Standing::Returned,
        (None, _) => Standing::New,
    }
}

/// Why the engine may not have a device.
enum Why {
    /// Nobody can look at it as it is.
    Unseen { driver: String },
    /// What is on it.
    Holds(String),
    /// What a plain format would say.
    Refused(String),
}

fn may_have(device: &DevicePlan, standing: &Standing) -> Result<(), Why> {
    let contents = device.state().map(contents).unwrap_or_default();
    if *standing == Standing::Known {
        // Mostly it cannot be seen, or holds what no tool knows. What can be seen and is plainly somebody else's came later.
        let foreign = contents.iter().flatten().find(|content| is_foreign(content));
        return foreign.map_or(Ok(()), |content| Err(Why::Holds(content.to_string())));
    }
    let in_use =
        matches!(device.verdict(), Verdict::Refused(e) if matches!(**e, BdevError::InUse { .. }));
    match device.state() {
        Some(DeviceState::Nvme(state)) if !in_use && cannot_be_seen(state) => {
            let driver = state.controller.driver.clone();
            return Err(Why::Unseen { driver: driver.unwrap_or_else(|| "no driver".to_owned()) });
        }
        _ => {}
    }
    let is_of_an_engine = |content: &Option<&Content>| content.is_some_and(is_of_an_engine);
    match device.verdict() {
        Verdict::Refused(error) => match &**error {
            BdevError::NotBlank { .. }
                if *standing == Standing::Returned && contents.iter().all(is_of_an_engine) =>
            {
                Ok(())
            }
            BdevError::NotBlank { content, .. } => Err(Why::Holds(content.clone())),
            other => Err(Why::Refused(other.to_string())),
        },
        Verdict::Proceed { .. } | Verdict::Skip(_) => Ok(()),
    }
}

/// A controller that a driver for user space has, or a namespace that could not be read.
fn cannot_be_seen(state: &NvmeState) -> bool {
    state.contents.is_empty() || state.contents.iter().any(|space| space.content.is_none())
}

/// What is on a device, part by part; `None` for what was not seen.
fn contents(state: &DeviceState) -> Vec<Option<&Content>> {
    match state {
        DeviceState::File(FileState::Present(facts)) => match &facts.content {
            FileContent::Blank => vec![Some(&Content::Blank)],
            FileContent::Data(content) => vec![Some(content)],
            FileContent::Unproven { .. } | FileContent::NotLookedAt => vec![None],
        },
        DeviceState::Kernel(facts) => vec![Some(&facts.content)],
        DeviceState::Nvme(state) => {
            state.contents.iter().map(|space| space.content.as_ref()).collect()
        }
        DeviceState::File(FileState::Absent { .. }) | DeviceState::Memory => Vec::new(),
    }
}

fn is_seen_blank(state: &DeviceState) -> bool {
    if matches!(state, DeviceState::File(FileState::Absent { .. })) {
        return true;
    }
    let contents = contents(state);
    !contents.is_empty() && contents.iter().all(|content| content.is_some_and(Content::is_blank))
}

fn is_engines(kind: SignatureKind) -> bool {
    matches!(kind, SignatureKind::Blobstore | SignatureKind::DaosBlockDevice)
}

fn is_of_an_engine(content: &Content) -> bool {
    let signatures = content.signatures();
    content.is_blank()
        || (!signatures.is_empty() && signatures.iter().all(|found| is_engines(found.kind)))
}

/// Known signatures, and none of an engine among them. Remains of an earlier life beside those of an engine are nobody's any more.
fn is_foreign(content: &Content) -> bool {
    let of_engine = |kind| is_engines(kind) || kind == SignatureKind::Ambiguous;
    let signatures = content.signatures();
    !signatures.is_empty() && !signatures.iter().any(|found| of_engine(found.kind))
}

/// What names a device wherever it is. Parts of a disk have the serial number of the whole, so they have none here.
fn serial(state: &DeviceState) -> Option<String> {
    let serial = match state {
        DeviceState::Nvme(state) => Some(state.controller.serial.clone()),
        DeviceState::Kernel(facts) => match &facts.identity {
            DeviceIdentity { kind: DeviceKind::Disk, wwn, serial, .. } => {
                wwn.clone().or_else(|| serial.clone())
            }
            _ => None,
        },
        DeviceState::File(_) | DeviceState::Memory => None,
    };
    serial.filter(|text| !text.trim().is_empty())
}

fn describe(device: &DevicePlan, standing: &Standing, why: Why) -> (String, &'static str) {
    let name = &device.device().name;
    let named = match device.state().and_then(serial) {
        Some(serial) => format!("{name} (serial {serial})"),
        None => name.clone(),
    };
    let came = match standing {
        Standing::Known => "was given to the engine".to_owned(),
        Standing::Returned => "was given to the engine before".to_owned(),
        Standing::Exchanged { was } => {
            format!("is not the device that the engine had there (serial {was})")
        }
        Standing::New => "is new to the engine".to_owned(),
    };
    match why {
        Why::Holds(content) if holds_an_engines(device) => (
            format!("{named} {came} and holds something else: {content}"),
            "see first whose it is: a reboot may have given devices other names, then correct bdev_list; only if nobody needs what is \
             on it, erase it with wipefs and start the engine again",
        ),
        Why::Holds(content) => (
            format!("{named} {came} and holds something else: {content}"),
            "take it out of bdev_list; or, if what is on it is not needed, erase it with wipefs and start the engine again",
        ),
        Why::Unseen { driver } => (
            format!("{named} {came}, and with {driver} nobody can see what is on it"),
            "give it back to the kernel with 'daos_server nvme reset ADDRESS', so that it can be looked at, and start the engine again; or take it out of bdev_list",
        ),
        Why::Refused(why) => (
            format!("{named} {came} and cannot be given to it: {why}"),
            "take it out of bdev_list, or put right what is said of it, and start the engine again",
        ),
    }
}

fn holds_an_engines(device: &DevicePlan) -> bool {
    let contents = device.state().map(contents).unwrap_or_default();
    contents
        .iter()
        .flatten()
        .any(|content| content.signatures().iter().any(|it| is_engines(it.kind)))
}

fn not_blank(index: u32, refused: &[(String, &'static str)]) -> Fault {
    let texts: Vec<&str> = refused.iter().map(|(text, _)| text.as_str()).collect();
    let mut remedies: Vec<&str> = refused.iter().map(|(_, remedy)| *remedy).collect();
    remedies.dedup();
    Fault::new(
        "storage",
        code::START_DEVICE_NOT_BLANK,
        format!("instance {index} is not started: {}", texts.join("; ")),
        remedies.join("; "),
    )
}

#[cfg(test)]
#[path = "given_test.rs"]
mod tests;
