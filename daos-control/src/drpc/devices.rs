//! Block devices as an engine tells of them: its table and the health of each (contract 3.3, calls 210 and 211).
//!
//! Plain values; this file turns them into protobuf and back. Called by the supervisor and by stand-in engines.

use daos_proto::ctl;
use prost::Message;

use super::messages::BodyError;

/// A block device in an engine's table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EngineDevice {
    /// Uuid in the table.
    pub uuid: String,
    /// Targets that use it.
    pub targets: Vec<i32>,
    /// Sum of data 1, meta 2, wal 4.
    pub roles: u32,
    /// Namespace of the controller it lies on.
    pub namespace: u32,
    /// PCI address of the controller; what stands in for one has its own name, or none.
    pub address: String,
    /// Model; empty when not told.
    pub model: String,
    /// Serial number; empty when not told.
    pub serial: String,
    /// Firmware revision; empty when not told.
    pub firmware: String,
    /// NUMA node.
    pub socket: i32,
    /// State and light: numbers of contract 2.
    pub state: i32,
    /// Light.
    pub led: i32,
    /// Number and bytes of each namespace.
    pub namespaces: Vec<(u32, u64)>,
}

/// The health of a device as the engine that uses it tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EngineDeviceHealth {
    /// Bytes in all.
    pub total_bytes: u64,
    /// Bytes free.
    pub available_bytes: u64,
    /// Bytes of one cluster.
    pub cluster_size: u64,
    /// Bytes for the metadata log per target.
    pub meta_wal_size: u64,
    /// Bytes for the service database's log.
    pub rdb_wal_size: u64,
    /// The whole answer: counters are passed on as they came.
    body: Vec<u8>,
}

impl EngineDevice {
    /// Reads the answer to 'list devices'; the status comes with the list.
    ///
    /// # Errors
    /// A body that is no such answer.
    pub fn decode_list(body: &[u8]) -> Result<(i32, Vec<Self>), BodyError> {
        let answer = ctl::SmdDevResp::decode(body)?;
        Ok((answer.status, answer.devices.into_iter().map(Self::of).collect()))
    }

    /// The answer of an engine with these devices.
    #[must_use]
    pub fn encode_list(devices: &[Self]) -> Vec<u8> {
        let devices = devices.iter().cloned().map(Self::into_proto).collect();
        ctl::SmdDevResp { status: 0, devices }.encode_to_vec()
    }

    fn of(message: ctl::SmdDevice) -> Self {
        let controller = message.ctrlr.unwrap_or_default();
        Self {
            uuid: message.uuid,
            targets: message.tgt_ids,
            roles: message.role_bits,
            namespace: message.ctrlr_namespace_id,
            address: controller.pci_addr,
            model: controller.model,
            serial: controller.serial,
            firmware: controller.fw_rev,
            socket: controller.socket_id,
            state: controller.dev_state,
            led: controller.led_state,
            namespaces: controller.namespaces.iter().map(|space| (space.id, space.size)).collect(),
        }
    }

    fn into_proto(self) -> ctl::SmdDevice {
        let namespaces = self
            .namespaces
            .into_iter()
            .map(|(id, size)| ctl::nvme_controller::Namespace { id, size, ..Default::default() });
        let controller = ctl::NvmeController {
            pci_addr: self.address,
            model: self.model,
            serial: self.serial,
            fw_rev: self.firmware,
            socket_id: self.socket,
            dev_state: self.state,
            led_state: self.led,
            namespaces: namespaces.collect(),
            ..Default::default()
        };
        ctl::SmdDevice {
            uuid: self.uuid,
            tgt_ids: self.targets,
            role_bits: self.roles,
            ctrlr_namespace_id: self.namespace,
            ctrlr: Some(controller),
            ..Default::default()
        }
    }
}

impl EngineDeviceHealth {
    /// Body of the question for the health of one device.
    #[must_use]
    pub fn question(uuid: &str) -> Vec<u8> {
        ctl::BioHealthReq { dev_uuid: uuid.to_owned(), ..Default::default() }.encode_to_vec()
    }

    /// The device that is asked about.
    ///
    /// # Errors
    /// A body that is no such question.
    pub fn asked(body: &[u8]) -> Result<String, BodyError> {
        Ok(ctl::BioHealthReq::decode(body)?.dev_uuid)
    }

    /// Reads the answer; the status comes with it.
    ///
    /// # Errors
    /// A body that is no such answer.
    pub fn decode(body: &[u8]) -> Result<(i32, Self), BodyError> {
        let answer = ctl::BioHealthResp::decode(body)?;
        let health = Self {
            total_bytes: answer.total_bytes,
            available_bytes: answer.avail_bytes,
            cluster_size: answer.cluster_size,
            meta_wal_size: answer.meta_wal_size,
            rdb_wal_size: answer.rdb_wal_size,
            body: body.to_vec(),
        };
        Ok((answer.status, health))
    }

    /// The answer of a device of that size without a single error, or that there is no such device.
    #[must_use]
    pub fn encode(uuid: &str, found: Result<(u64, u64), i32>) -> Vec<u8> {
        let (status, total_bytes, avail_bytes) = match found {
            Ok((total, available)) => (0, total, available),
            Err(status) => (status, 0, 0),
        };
        let dev_uuid = uuid.to_owned();
        let answer =
            ctl::BioHealthResp { status, dev_uuid, total_bytes, avail_bytes, ..Default::default() };
        answer.encode_to_vec()
    }

    /// The whole answer for the wire.
    #[cfg(feature = "server")]
    pub(crate) fn to_proto(&self) -> ctl::BioHealthResp {
        // It was read from these bytes.
        ctl::BioHealthResp::decode(&self.body[..]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_and_health_survive_the_wire() {
        let device = EngineDevice {
            uuid: "u".into(),
            targets: vec![0, 2],
            roles: 5,
            namespace: 1,
            address: "0000:81:00.0".into(),
            model: "M".into(),
            serial: "S".into(),
            firmware: "F".into(),
            socket: 1,
            state: 1,
            led: 4,
            namespaces: vec![(1, 1 << 40)],
        };
        let list = EngineDevice::encode_list(&[device.clone(), EngineDevice::default()]);
        let read = EngineDevice::decode_list(&list).unwrap();
        assert_eq!(read, (0, vec![device, EngineDevice::default()]));
        assert_eq!(EngineDeviceHealth::asked(&EngineDeviceHealth::question("u")).unwrap(), "u");
        let body = EngineDeviceHealth::encode("u", Ok((9, 5)));
        let (status, health) = EngineDeviceHealth::decode(&body).unwrap();
        assert_eq!((status, health.total_bytes, health.available_bytes), (0, 9, 5));
        let body = EngineDeviceHealth::encode("u", Err(-1005));
        assert_eq!(EngineDeviceHealth::decode(&body).unwrap().0, -1005);
        assert!(EngineDevice::decode_list(&[0x08]).is_err());
    }

    /// What this file has no name for is passed on.
    #[test]
    fn every_counter_is_passed_on() {
        let sent = ctl::BioHealthResp { temperature: 300, media_errs: 7, ..Default::default() };
        let (_, health) = EngineDeviceHealth::decode(&sent.encode_to_vec()).unwrap();
        assert_eq!(health.to_proto(), sent);
    }
}
