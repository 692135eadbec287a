//! The simulated host: what is at each path and address, and how steps change it.

use std::collections::BTreeMap;
use std::sync::Arc;

use daos_blockdev::{Content, DeviceFacts, DeviceIdentity, DeviceKind, DeviceNumber, DeviceUse};

use crate::model::{
    DeviceState, FactSource, FileContent, FileFacts, FileKind, FileState, FormatAbility,
    NamespaceFormat, NamespaceState, NvmeController, NvmeNamespace, NvmeState, ParentState,
};
use crate::plan::DeviceStep;
use crate::provider::{PrepareOutcome, PrepareRequest, ResetOutcome, ResetRequest};
use crate::{BdevClass, BdevError, DeviceRef, PciAddress};

/// Everything there is. Files that are not in it are absent from an existing directory; devices and controllers
/// that are not in it do not exist.
#[derive(Debug, Clone, Default)]
pub struct World {
    states: BTreeMap<String, DeviceState>,
    clock: i128,
}

impl World {
    /// Puts something at a path or PCI address, in place of what was there.
    pub fn put(&mut self, name: impl Into<String>, state: DeviceState) {
        self.states.insert(name.into(), state);
    }

    /// Takes away what is at a path or address.
    pub fn remove(&mut self, name: &str) {
        self.states.remove(name);
    }

    /// What is at a path or address, to look at or change.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut DeviceState> {
        self.states.get_mut(name)
    }

    /// What a device is now.
    pub(super) fn state(&self, device: &DeviceRef) -> Result<DeviceState, BdevError> {
        match (self.states.get(&device.name), device.class) {
            (_, BdevClass::Malloc) => Ok(DeviceState::Memory),
            (Some(state), _) => Ok(state.clone()),
            (None, BdevClass::File) => {
                Ok(DeviceState::File(FileState::Absent { parent: ParentState::Directory }))
            }
            (None, _) => Err(BdevError::NotFound { device: device.name.clone() }),
        }
    }

    pub(super) fn size(&self, device: &DeviceRef) -> Option<u64> {
        match self.state(device).ok()? {
            DeviceState::File(FileState::Present(facts)) => Some(facts.size_bytes),
            DeviceState::Kernel(facts) => Some(facts.identity.size_bytes),
            _ => None,
        }
    }

    pub(super) fn controllers(&self) -> Vec<NvmeController> {
        let controllers = self.states.values().filter_map(|state| match state {
            DeviceState::Nvme(state) => Some(state.controller.clone()),
            _ => None,
        });
        let mut controllers: Vec<NvmeController> = controllers.collect();
        controllers.sort_by_key(|controller| controller.address);
        controllers
    }

    pub(super) fn take_step(
        &mut self,
        device: &DeviceRef,
        step: &DeviceStep,
    ) -> Result<(), BdevError> {
        self.clock += 1;
        let clock = self.clock;
        if let DeviceStep::CreateFile { size_bytes, owner, mode } = step {
            let mut facts = blank_file(*size_bytes);
            (facts.uid, facts.gid, facts.mode) = (owner.uid, owner.gid, *mode);
            (facts.inode, facts.modified_ns) = (u64::try_from(clock).unwrap_or(0), clock);
            self.put(device.name.clone(), DeviceState::File(FileState::Present(facts)));
            return Ok(());
        }
        match (self.states.get_mut(&device.name), step) {
            (Some(DeviceState::File(FileState::Present(facts))), step) => {
                facts.modified_ns = clock;
                change_file(facts, step)
            }
            (Some(DeviceState::Kernel(facts)), DeviceStep::EraseSignatures) => {
                facts.content = Content::Blank;
                Ok(())
            }
            (Some(DeviceState::Nvme(state)), DeviceStep::LendToKernel { .. }) => {
                state.controller.driver = Some("nvme".to_owned());
                Ok(())
            }
            (Some(DeviceState::Nvme(state)), DeviceStep::ReturnToUserSpace { driver, .. }) => {
                state.controller.driver = Some(driver.clone());
                Ok(())
            }
            (Some(DeviceState::Nvme(state)), DeviceStep::FormatAllNamespaces) => {
                for namespace in &mut state.contents {
                    namespace.content = Some(Content::Blank);
                }
                Ok(())
            }
            (
                Some(DeviceState::Nvme(state)),
                DeviceStep::FormatNamespace { id } | DeviceStep::EraseNamespace { id },
            ) => {
                let namespace = state.contents.iter_mut().find(|namespace| namespace.id == *id);
                let namespace =
                    namespace.ok_or_else(|| BdevError::NotFound { device: device.name.clone() })?;
                namespace.content = Some(Content::Blank);
                Ok(())
            }
            _ => Err(BdevError::changed(device, "it is not there any more")),
        }
    }

    pub(super) fn prepare(&mut self, request: &PrepareRequest) -> PrepareOutcome {
        let driver = if request.disable_vfio { "uio_pci_generic" } else { "vfio-pci" };
        let controllers = self.bind(request.include.as_deref(), &request.exclude, driver);
        PrepareOutcome { hugepages: request.hugepages.clone(), controllers, notices: Vec::new() }
    }

    pub(super) fn reset(&mut self, request: &ResetRequest) -> ResetOutcome {
        ResetOutcome {
            controllers: self.bind(request.include.as_deref(), &request.exclude, "nvme"),
            notices: Vec::new(),
        }
    }

    fn bind(
        &mut self,
        include: Option<&[PciAddress]>,
        exclude: &[PciAddress],
        driver: &str,
    ) -> Vec<(PciAddress, Result<String, Arc<BdevError>>)> {
        let mut bound = Vec::new();
        for state in self.states.values_mut() {
            let DeviceState::Nvme(state) = state else { continue };
            let address = state.controller.address;
            let wanted = include.is_none_or(|named| named.contains(&address));
            if !wanted || exclude.contains(&address) {
                continue;
            }
            let uses: Vec<DeviceUse> = state.controller.uses().into_iter().cloned().collect();
            if !uses.is_empty() {
                let error = BdevError::InUse { device: address.to_string(), uses };
                bound.push((address, Err(Arc::new(error))));
                continue;
            }
            state.controller.driver = Some(driver.to_owned());
            bound.push((address, Ok(driver.to_owned())));
        }
        bound
    }
}

fn change_file(facts: &mut FileFacts, step: &DeviceStep) -> Result<(), BdevError> {
    match step {
        DeviceStep::DiscardContents => {
            (facts.size_bytes, facts.allocated_bytes) = (0, 0);
            facts.content = FileContent::Blank;
        }
        DeviceStep::ReserveSpace { size_bytes } => {
            (facts.size_bytes, facts.allocated_bytes) = (*size_bytes, *size_bytes);
        }
        DeviceStep::SetOwner { owner, mode } => {
            (facts.uid, facts.gid, facts.mode) = (owner.uid, owner.gid, *mode);
        }
        other => {
            return Err(BdevError::BadTarget { detail: format!("no step for a file: {other}") });
        }
    }
    Ok(())
}

pub(super) fn uses(state: &DeviceState) -> Vec<DeviceUse> {
    match state {
        DeviceState::File(FileState::Present(facts)) => facts.uses.clone(),
        DeviceState::Kernel(facts) => facts.uses.clone(),
        DeviceState::Nvme(state) => state.controller.uses().into_iter().cloned().collect(),
        DeviceState::File(FileState::Absent { .. }) | DeviceState::Memory => Vec::new(),
    }
}

/// A blank file of root's, for a world.
#[must_use]
pub fn blank_file(size_bytes: u64) -> FileFacts {
    FileFacts {
        kind: FileKind::Regular,
        file_system: DeviceNumber { major: 8, minor: 1 },
        inode: 1,
        size_bytes,
        allocated_bytes: size_bytes,
        uid: 0,
        gid: 0,
        mode: 0o660,
        modified_ns: 0,
        uses: Vec::new(),
        content: FileContent::Blank,
    }
}

/// A blank kernel device, for a world. `minor` makes it another device than others.
#[must_use]
pub fn kernel_device(path: &str, minor: u32, size_bytes: u64) -> DeviceFacts {
    DeviceFacts {
        identity: DeviceIdentity {
            path: path.into(),
            name: path.rsplit('/').next().unwrap_or(path).to_owned(),
            number: DeviceNumber { major: 8, minor },
            size_bytes,
            sector_bytes: 512,
            serial: Some(format!("SIM{minor:04}")),
            model: Some("simulated disk".to_owned()),
            wwn: None,
            disk_sequence: Some(u64::from(minor) + 1),
            kind: DeviceKind::Disk,
        },
        read_only: false,
        dax: false,
        uses: Vec::new(),
        content: Content::Blank,
    }
}

/// A controller with namespaces of one size, for a world.
#[must_use]
pub fn controller(address: PciAddress, namespaces: u32, size_bytes: u64) -> NvmeController {
    let namespace = |id| NvmeNamespace {
        id,
        size_bytes,
        node: None,
        uses: Vec::new(),
        format: NamespaceFormat { block_bytes: 4096, ..NamespaceFormat::default() },
    };
    NvmeController {
        address,
        model: "simulated SSD".to_owned(),
        serial: format!("SIM{address}"),
        firmware: "1.0".to_owned(),
        vendor_id: Some("0x8086".to_owned()),
        socket: 0,
        driver: Some("nvme".to_owned()),
        iommu_group: None,
        source: FactSource::Controller,
        obstacles: Vec::new(),
        device_files: Vec::new(),
        openers: Vec::new(),
        namespaces: (1..=namespaces).map(namespace).collect(),
        health: Some(crate::NvmeHealth { temperature_k: 300, ..crate::NvmeHealth::default() }),
    }
}

/// A controller whose namespaces are all blank, for a world.
#[must_use]
pub fn blank_namespaces(controller: NvmeController) -> NvmeState {
    let blank = |namespace: &NvmeNamespace| NamespaceState {
        id: namespace.id,
        identity: Some(
            kernel_device(
                &format!("/dev/nvme0n{}", namespace.id),
                namespace.id,
                namespace.size_bytes,
            )
            .identity,
        ),
        content: Some(Content::Blank),
    };
    let contents = controller.namespaces.iter().map(blank).collect();
    NvmeState { controller, contents, ability: FormatAbility::EachNamespace, user_space: None }
}
