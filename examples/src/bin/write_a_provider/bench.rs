//! What the suite needs of a provider: devices to try it on, and somebody who gets in the way.

use std::any::Any;
use std::sync::Arc;

use daos_storage_nvme::blockdev::ProcessRef;
use daos_storage_nvme::conformance::{Bench, Put};
use daos_storage_nvme::{
    BdevProvider, BdevTarget, BdevTier, DeviceRef, FileOwner, Roles, TierDevices,
};

use crate::array::{Array, ArrayBdev};

const VOLUMES: [&str; 2] = ["/dev/array/fast", "/dev/array/slow"];
const FOREIGN: &[u8] = b"somebody's data";
const AT: usize = 4096;

/// An engine with both volumes.
pub fn target() -> BdevTarget {
    let devices = TierDevices::Kdev { paths: VOLUMES.iter().map(Into::into).collect() };
    BdevTarget {
        engine: 0,
        host: "example".to_owned(),
        owner: FileOwner::current(),
        tiers: vec![BdevTier { tier: 1, roles: Roles::NONE, devices }],
    }
}

/// An array of its own for each case.
pub struct ArrayBench {
    array: Array,
}

impl ArrayBench {
    pub fn new() -> Self {
        let array = Array::default();
        VOLUMES.iter().for_each(|path| array.create(path));
        Self { array }
    }
}

/// A client that has a volume until it is dropped.
struct Client(Array, String);

impl Drop for Client {
    fn drop(&mut self) {
        self.0.attach(&self.1, None);
    }
}

impl Bench for ArrayBench {
    fn provider(&self) -> Arc<dyn BdevProvider> {
        Arc::new(ArrayBdev::new(self.array.clone()))
    }

    fn target(&self) -> BdevTarget {
        target()
    }

    fn put(&self, device: &DeviceRef, what: Put) -> bool {
        match what {
            Put::Foreign => self.array.write(&device.name, AT, FOREIGN),
            Put::Ours => self.array.write(&device.name, 0, b"DAOSIOBD\x01"),
        }
        true
    }

    fn foreign_is_intact(&self, device: &DeviceRef) -> bool {
        self.array.holds(&device.name, AT, FOREIGN)
    }

    fn occupy(&self, device: &DeviceRef) -> Option<Box<dyn Any + Send>> {
        let client = ProcessRef { pid: 1, name: "somebody".to_owned() };
        self.array.attach(&device.name, Some(client));
        Some(Box::new(Client(self.array.clone(), device.name.clone())))
    }

    fn break_device(&self, device: &DeviceRef) -> bool {
        self.array.remove(&device.name);
        true
    }
}
