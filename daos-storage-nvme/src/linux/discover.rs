//! From the PCI bus and the kernel's nodes to `NvmeController` values (R89, R141).
//!
//! Called by `LinuxNvme`. Reads sysfs, and the controller itself where this process may open it; changes nothing.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use daos_blockdev::{BlockdevError, Content, DeviceFacts, DeviceUse};

use super::admin::{self, ControllerFacts};
use super::pci::{self, PciFunction, Roots};
use super::record::PrepareRecord;
use super::{loan, nodes};
use crate::model::{
    FactSource, FormatAbility, NamespaceFormat, NamespaceState, NvmeController, NvmeHealth,
    NvmeNamespace, NvmeState, Obstacle,
};
use crate::plan::is_ours;
use crate::{BdevError, PciAddress};

/// The kernel's own driver.
pub(super) const KERNEL_DRIVER: &str = "nvme";
/// Bytes of the sector in which sysfs counts sizes.
const SECTOR: u64 = 512;

/// How a scan looks at block devices; tests without devices bring another.
pub(super) type Inspect = fn(&Path) -> Result<DeviceFacts, BlockdevError>;

/// Looks at one function of the bus.
pub(super) fn controller(
    roots: &Roots,
    function: &PciFunction,
    record: &PrepareRecord,
    inspect: Inspect,
) -> NvmeState {
    let mut state = match (kernel_name(function), record.controller(function.address)) {
        (Some(name), _) => read(roots, function, &name, inspect),
        (None, Some(recorded)) => recorded_state(function, recorded),
        (None, None) => from_bus(function),
    };
    match function.driver.as_deref() {
        Some(KERNEL_DRIVER) => {}
        driver => away_from_the_kernel(roots, function, driver, &mut state.controller),
    }
    state.user_space = loan::user_space(roots, function, record);
    state
}

/// Another driver, or none, has it. A program that has it open uses all of it, also where nobody knows of any namespace.
fn away_from_the_kernel(
    roots: &Roots,
    function: &PciFunction,
    driver: Option<&str>,
    controller: &mut NvmeController,
) {
    controller.obstacles.push(match driver {
        Some(driver) => Obstacle::BoundTo { driver: driver.to_owned() },
        None => Obstacle::Unbound,
    });
    if controller.source == FactSource::BusOnly {
        controller.obstacles.push(Obstacle::NotRecorded);
    }
    controller.device_files =
        driver.map(|driver| nodes::files(roots, function, driver)).unwrap_or_default();
    match nodes::openers(roots, function) {
        Ok(openers) => {
            let open = openers.iter().map(|by| Obstacle::Open { by: by.clone() });
            controller.obstacles.extend(open);
            controller.openers = openers;
        }
        Err(error) => {
            controller.obstacles.push(Obstacle::UseUnknown { detail: error.to_string() });
        }
    }
}

/// Why it is not known whether a controller is in use, where nobody was seen to use it.
pub(super) fn unknown_use(state: &NvmeState) -> Option<BdevError> {
    let controller = &state.controller;
    let device = controller.address.to_string();
    match controller.driver.as_deref() {
        // What holds a namespace that could not be looked at is not known: it may be mounted.
        Some(KERNEL_DRIVER) if controller.source == FactSource::Controller => {
            let unseen = state.contents.iter().find(|namespace| namespace.identity.is_none());
            unseen.map(|space| BdevError::Unseen { device, namespace: space.id })
        }
        Some(KERNEL_DRIVER) => {
            let detail = "the kernel's driver has it and does not show it".to_owned();
            Some(BdevError::NotTold { device, detail })
        }
        Some(driver) if !nodes::is_user_space(driver) => {
            Some(BdevError::ForeignDriver { device, driver: driver.to_owned() })
        }
        _ => None,
    }
}

/// `nvme0`, while the kernel's driver has it.
pub(super) fn kernel_name(function: &PciFunction) -> Option<String> {
    let entries = fs::read_dir(function.directory.join("nvme")).ok()?;
    let mut names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.find(|name| name.starts_with("nvme"))
}

/// Health of a controller, where it can be read: by its owner in the kernel, with the right to open it.
pub(super) fn health(roots: &Roots, address: PciAddress) -> Option<NvmeHealth> {
    let function = pci::nvme_function_at(roots, address).ok()?;
    let device = File::open(roots.dev.join(kernel_name(&function)?)).ok()?;
    admin::health(device).ok()
}

fn bare(function: &PciFunction, source: FactSource) -> NvmeController {
    NvmeController {
        address: function.address,
        model: String::new(),
        serial: String::new(),
        firmware: String::new(),
        vendor_id: function.vendor.clone(),
        socket: function.numa_node,
        driver: function.driver.clone(),
        iommu_group: function.iommu_group,
        source,
        obstacles: Vec::new(),
        device_files: Vec::new(),
        openers: Vec::new(),
        namespaces: Vec::new(),
        health: None,
    }
}

fn from_bus(function: &PciFunction) -> NvmeState {
    let controller = bare(function, FactSource::BusOnly);
    NvmeState { controller, contents: Vec::new(), ability: FormatAbility::None, user_space: None }
}

fn recorded_state(
    function: &PciFunction,
    recorded: &super::record::RecordedController,
) -> NvmeState {
    let namespace = |(id, size_bytes): &(u32, u64)| NvmeNamespace {
        id: *id,
        size_bytes: *size_bytes,
        node: None,
        uses: Vec::new(),
        format: NamespaceFormat::default(),
    };
    let controller = NvmeController {
        model: recorded.model.clone(),
        serial: recorded.serial.clone(),
        firmware: recorded.firmware.clone(),
        namespaces: recorded.namespaces.iter().map(namespace).collect(),
        ..bare(function, FactSource::RecordedAtPrepare)
    };
    let unknown = |namespace: &NvmeNamespace| NamespaceState {
        id: namespace.id,
        identity: None,
        content: None,
    };
    let contents = controller.namespaces.iter().map(unknown).collect();
    NvmeState { controller, contents, ability: recorded.ability, user_space: None }
}

fn read(roots: &Roots, function: &PciFunction, name: &str, inspect: Inspect) -> NvmeState {
    let class = function.directory.join("nvme").join(name);
    let attribute = |file: &str| pci::text(&class.join(file)).unwrap_or_default();
    let mut controller = NvmeController {
        model: attribute("model"),
        serial: attribute("serial"),
        firmware: attribute("firmware_rev"),
        ..bare(function, FactSource::Controller)
    };
    if let Some(trouble) = pci::text(&class.join("state")).filter(|state| state != "live") {
        controller.obstacles.push(Obstacle::Silent { detail: format!("state is {trouble}") });
    }
    // Without the right to open it sysfs has said enough for a list.
    let device = File::open(roots.dev.join(name)).ok();
    let facts = device.as_ref().and_then(|device| admin::identify_controller(device).ok());
    if let Err(detail) = answers(roots, device.as_ref(), &class) {
        controller.obstacles.push(Obstacle::Silent { detail });
    }
    let mut contents = Vec::new();
    for (id, node) in namespaces(roots, &class) {
        let (namespace, state, obstacles) = look(roots, device.as_ref(), id, &node, inspect);
        controller.namespaces.push(namespace);
        controller.obstacles.extend(obstacles);
        contents.push(state);
    }
    if controller.namespaces.is_empty() {
        controller.obstacles.push(Obstacle::NoNamespace);
    }
    let ability = ability(device.as_ref(), facts.as_ref());
    NvmeState { controller, contents, ability, user_space: None }
}

fn ability(device: Option<&File>, facts: Option<&ControllerFacts>) -> FormatAbility {
    let (Some(device), Some(facts)) = (device, facts) else { return FormatAbility::None };
    facts.ability(|| Some((admin::active_ids(device).ok()?, admin::allocated_ids(device).ok()?)))
}

/// Who the controller says it is has to be proven before anything is written, so it has to answer: through its own node, or through
/// that of a namespace, which other users may be allowed to open.
fn answers(roots: &Roots, device: Option<&File>, class: &Path) -> Result<(), String> {
    let own = device.map(admin::identify_controller);
    if let Some(Ok(_)) = own {
        return Ok(());
    }
    let mut why = own.map_or_else(
        || "it cannot be opened".to_owned(),
        |asked| match asked {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        },
    );
    for (_, node) in namespaces(roots, class) {
        let asked = File::open(roots.dev.join(&node)).map_err(|error| format!("{node}: {error}"));
        let asked = asked
            .and_then(|node| admin::identify_controller(&node).map_err(|error| error.to_string()));
        match asked {
            Ok(_) => return Ok(()),
            Err(error) => why = error,
        }
    }
    Err(why)
}

/// Ids and kernel names of the namespaces of a controller, by ascending id.
fn namespaces(roots: &Roots, class: &Path) -> Vec<(u32, String)> {
    let Ok(entries) = fs::read_dir(class) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let node = |name: String| {
        let head = head_name(&name)?;
        let attribute = |place: PathBuf| pci::text(&place.join("nsid"))?.parse().ok();
        let id: Option<u32> = attribute(class.join(&name));
        let id = id.or_else(|| attribute(roots.sys.join("class/block").join(&head)));
        Some((id?, head))
    };
    let mut found: Vec<_> = names.filter_map(node).collect();
    found.sort();
    found
}

/// The block device of a namespace: `nvme0n1`, also for the path `nvme0c1n1` of a namespace with several controllers.
fn head_name(name: &str) -> Option<String> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (controller, namespace) = name.strip_prefix("nvme")?.split_once('n')?;
    let controller = controller.split_once('c').map_or(controller, |(subsystem, _)| subsystem);
    let sound = digits(controller) && digits(namespace);
    sound.then(|| format!("nvme{controller}n{namespace}"))
}

fn look(
    roots: &Roots,
    device: Option<&File>,
    id: u32,
    name: &str,
    inspect: Inspect,
) -> (NvmeNamespace, NamespaceState, Vec<Obstacle>) {
    let block = roots.sys.join("class/block").join(name);
    let attribute = |file: &str| pci::text(&block.join(file));
    let facts = device.and_then(|device| admin::identify_namespace(device, id).ok());
    let sectors: u64 = attribute("size").and_then(|t| t.parse().ok()).unwrap_or(0);
    let sysfs_block = attribute("queue/logical_block_size").and_then(|t| t.parse().ok());
    let names = |file: &str| attribute(file).map(|text| text.replace([' ', '-'], ""));
    let given = |id: Option<String>| id.filter(|text| text.bytes().any(|b| b != b'0'));
    let format = NamespaceFormat {
        block_bytes: facts.map(|facts| facts.block_bytes).or(sysfs_block).unwrap_or(0),
        metadata_bytes: facts.map_or(0, |facts| facts.metadata_bytes),
        lba_format: facts.map(|facts| facts.lba_format),
        eui64: given(names("eui")),
        nguid: given(names("nguid")),
        uuid: attribute("uuid").filter(|text| text.bytes().any(|b| b != b'0' && b != b'-')),
    };
    let node = roots.dev.join(name);
    let mut namespace = NvmeNamespace {
        id,
        size_bytes: sectors.saturating_mul(SECTOR),
        node: Some(node.clone()),
        uses: Vec::new(),
        format,
    };
    let (state, obstacles) = match inspect(&node) {
        Ok(facts) => {
            namespace.uses.clone_from(&facts.uses);
            let obstacles = obstacles_of(id, &facts);
            let content = Some(facts.content);
            (NamespaceState { id, identity: Some(facts.identity), content }, obstacles)
        }
        Err(error) => {
            // A medium that fails tells who uses it all the same; without the right to look, nothing does.
            let known = match &error {
                BlockdevError::AccessDenied { .. } => None,
                _ => daos_blockdev::inspect_uses(&node).ok(),
            };
            let (identity, uses) = known.map_or((None, Vec::new()), |(id, uses)| (Some(id), uses));
            let mut obstacles = in_use(id, &uses);
            namespace.uses = uses;
            let detail = error.to_string();
            obstacles.push(Obstacle::Unreadable { namespace: id, detail });
            (NamespaceState { id, identity, content: None }, obstacles)
        }
    };
    (namespace, state, obstacles)
}

fn in_use(id: u32, uses: &[DeviceUse]) -> Vec<Obstacle> {
    uses.iter().map(|by| Obstacle::InUse { namespace: id, by: by.clone() }).collect()
}

fn obstacles_of(id: u32, facts: &DeviceFacts) -> Vec<Obstacle> {
    let mut obstacles = in_use(id, &facts.uses);
    if facts.content != Content::Blank && !is_ours(&facts.content) {
        let content = facts.content.to_string();
        obstacles.push(Obstacle::Holds { namespace: id, content });
    }
    obstacles
}

#[cfg(test)]
mod tests {
    use super::super::nodes::VFIO;
    use super::super::nodes::tests::{Holder, host};
    use super::*;

    fn seen(roots: &Roots, function: &PciFunction) -> NvmeController {
        let record = PrepareRecord::default();
        controller(roots, function, &record, daos_blockdev::inspect).controller
    }

    #[test]
    fn who_has_an_unrecorded_controller_open_is_told() {
        let (_directory, roots, function) = host(Some(VFIO), "7");
        let file = roots.dev.join("vfio/7");
        let nobody = seen(&roots, &function);
        assert!(nobody.namespaces.is_empty() && nobody.uses().is_empty());
        assert_eq!(nobody.device_files, std::slice::from_ref(&file));
        assert!(nobody.obstacles.contains(&Obstacle::NotRecorded));
        let _holder = Holder::of(&file);
        let open = seen(&roots, &function);
        assert_eq!(open.uses().len(), 1);
        let told: Vec<_> = open.obstacles.iter().map(ToString::to_string).collect();
        assert!(told.iter().any(|text| text.starts_with("open in sleep (pid ")), "{told:?}");
    }

    #[test]
    fn what_goes_wrong_when_looking_for_users_is_kept() {
        let (_directory, roots, function) = host(Some(VFIO), "7");
        let file = roots.dev.join("vfio/7");
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("nowhere", &file).unwrap();
        let found = seen(&roots, &function);
        let untold = found.untold().map(ToString::to_string).unwrap_or_default();
        assert!(untold.contains("vfio/7: no such device"), "{untold}");
    }
}
