//! The array, in memory here, and the provider over it. A real one would speak the array's protocol in `Array` and change nothing else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use daos_storage_nvme::blockdev::{
    Content, DeviceFacts, DeviceIdentity, DeviceKind, DeviceNumber, DeviceUse, ProcessRef,
    Signature, SignatureKind,
};
use daos_storage_nvme::model::{BdevInventory, EmulatedDevice};
use daos_storage_nvme::{
    AcceptedBdevPlan, BdevClass, BdevError, BdevProvider, BdevTarget, DeviceOutcome, DevicePlan,
    DeviceRef, DeviceState, FormatResult, ObservedDevice, PrepareOutcome, PrepareRequest,
    Recovered, ResetOutcome, ResetRequest, ScanRequest, StepObserver, Verdict,
};

const VOLUME_BYTES: usize = 1 << 20;
/// What our stand-in engine writes at the beginning of its devices.
const OURS: &[u8] = b"DAOSIOBD";

/// Volumes by the path under which engines have them. Clones are the same array.
#[derive(Debug, Clone, Default)]
pub struct Array {
    volumes: Arc<Mutex<BTreeMap<String, Volume>>>,
}

#[derive(Debug)]
struct Volume {
    serial: u32,
    bytes: Vec<u8>,
    attached_to: Option<ProcessRef>,
}

impl Array {
    /// Makes a blank volume.
    pub fn create(&self, path: &str) {
        let mut volumes = self.lock();
        let serial = u32::try_from(volumes.len()).unwrap_or(u32::MAX);
        let volume = Volume { serial, bytes: vec![0; VOLUME_BYTES], attached_to: None };
        volumes.insert(path.to_owned(), volume);
    }

    /// Takes a volume away.
    pub fn remove(&self, path: &str) {
        self.lock().remove(path);
    }

    /// Writes on a volume, as a client of the array would.
    pub fn write(&self, path: &str, offset: usize, data: &[u8]) {
        if let Some(volume) = self.lock().get_mut(path) {
            volume.bytes[offset..offset + data.len()].copy_from_slice(data);
        }
    }

    /// Whether these bytes are there.
    pub fn holds(&self, path: &str, offset: usize, data: &[u8]) -> bool {
        self.lock().get(path).is_some_and(|volume| volume.bytes[offset..].starts_with(data))
    }

    /// Attaches a volume to a client, or takes it from all.
    pub fn attach(&self, path: &str, client: Option<ProcessRef>) {
        if let Some(volume) = self.lock().get_mut(path) {
            volume.attached_to = client;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Volume>> {
        // Every change is whole before the lock is let go.
        self.volumes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Volume {
    fn facts(&self, path: &str) -> DeviceFacts {
        let identity = DeviceIdentity {
            path: path.into(),
            name: path.rsplit('/').next().unwrap_or(path).to_owned(),
            number: DeviceNumber { major: 0, minor: self.serial },
            size_bytes: self.bytes.len() as u64,
            sector_bytes: 512,
            serial: Some(format!("VOL{:04}", self.serial)),
            model: Some("Example array".to_owned()),
            wwn: None,
            disk_sequence: None,
            kind: DeviceKind::Disk,
        };
        let uses = self.attached_to.iter().cloned().map(DeviceUse::OpenBy).collect();
        DeviceFacts { identity, read_only: false, dax: false, uses, content: self.content() }
    }

    /// Never 'blank' unless every byte was looked at and is zero.
    fn content(&self) -> Content {
        let Some(first) = self.bytes.iter().position(|byte| *byte != 0) else {
            return Content::Blank;
        };
        if !self.bytes[first..].starts_with(OURS) {
            return Content::Unrecognised { first_data: first as u64 };
        }
        let (kind, name) = (SignatureKind::DaosBlockDevice, "DAOSIOBD".to_owned());
        Content::Signatures(vec![Signature { kind, name, label: None, uuid: None }])
    }
}

/// The provider: what an implementer owes stands at `BdevProvider`.
#[derive(Debug, Clone)]
pub struct ArrayBdev {
    array: Array,
}

impl ArrayBdev {
    pub fn new(array: Array) -> Self {
        Self { array }
    }

    fn facts(&self, device: &DeviceRef) -> Result<DeviceFacts, BdevError> {
        let volumes = self.array.lock();
        let volume = volumes.get(&device.name);
        let volume = volume.ok_or_else(|| BdevError::NotFound { device: device.name.clone() })?;
        Ok(volume.facts(&device.name))
    }

    fn format_one(
        &self,
        plan: &DevicePlan,
        observer: &dyn StepObserver,
    ) -> Result<FormatResult, BdevError> {
        let device = plan.device();
        let (steps, planned) = match (plan.verdict(), plan.state()) {
            (Verdict::Proceed { steps, .. }, Some(DeviceState::Kernel(facts))) => (steps, facts),
            (Verdict::Skip(why), _) => return Ok(FormatResult::Skipped((*why).to_owned())),
            (Verdict::Refused(error), _) => return Ok(FormatResult::Failed(Arc::clone(error))),
            (Verdict::Proceed { .. }, _) => return Err(unsupported("format")),
        };
        // Told before each step, and never while the array is locked: an observer may take its time, or panic.
        for step in steps {
            observer.step(&format!("{device}: {step}"));
        }
        self.erase(device, planned, !steps.is_empty())
    }

    /// Looks and erases under one lock, so that nothing can come in between.
    fn erase(
        &self,
        device: &DeviceRef,
        planned: &DeviceFacts,
        erase: bool,
    ) -> Result<FormatResult, BdevError> {
        let mut volumes = self.array.lock();
        let volume = volumes.get_mut(&device.name);
        let volume = volume.ok_or_else(|| BdevError::NotFound { device: device.name.clone() })?;
        let now = volume.facts(&device.name);
        if !now.uses.is_empty() {
            return Err(BdevError::InUse { device: device.name.clone(), uses: now.uses });
        }
        if now != *planned {
            let detail = format!("content was {}, is {}", planned.content, now.content);
            return Err(BdevError::PlanChanged { subject: device.name.clone(), detail });
        }
        if !erase {
            return Ok(FormatResult::AlreadyFormatted);
        }
        volume.bytes.fill(0);
        match volume.content() {
            Content::Blank => Ok(FormatResult::Formatted),
            left => {
                let detail = left.to_string();
                Err(BdevError::ReadBack { device: device.name.clone(), detail })
            }
        }
    }
}

fn unsupported(operation: &'static str) -> BdevError {
    BdevError::Unsupported { operation, class: BdevClass::Kdev }
}

#[async_trait]
impl BdevProvider for ArrayBdev {
    async fn scan(&self, request: &ScanRequest) -> Result<BdevInventory, BdevError> {
        let devices = request.targets.iter().flat_map(BdevTarget::devices);
        let emulated = devices.map(|device| EmulatedDevice {
            size_bytes: self.facts(&device).ok().map(|facts| facts.identity.size_bytes),
            device,
        });
        Ok(BdevInventory { emulated: emulated.collect(), ..BdevInventory::default() })
    }

    async fn prepare(&self, _request: &PrepareRequest) -> Result<PrepareOutcome, BdevError> {
        Err(unsupported("prepare"))
    }

    async fn reset(&self, _request: &ResetRequest) -> Result<ResetOutcome, BdevError> {
        Err(unsupported("reset"))
    }

    async fn recover(&self) -> Result<Vec<Recovered>, BdevError> {
        Ok(Vec::new())
    }

    async fn observe(&self, target: &BdevTarget) -> Vec<ObservedDevice> {
        let look = |device| ObservedDevice {
            state: self.facts(&device).map(DeviceState::Kernel).map_err(Arc::new),
            device,
        };
        target.devices().into_iter().map(look).collect()
    }

    async fn format(&self, plan: AcceptedBdevPlan, steps: &dyn StepObserver) -> Vec<DeviceOutcome> {
        let outcome = |plan: &DevicePlan| DeviceOutcome {
            device: plan.device().clone(),
            roles: plan.roles(),
            result: self
                .format_one(plan, steps)
                .unwrap_or_else(|error| FormatResult::Failed(Arc::new(error))),
        };
        plan.devices().iter().map(outcome).collect()
    }
}
