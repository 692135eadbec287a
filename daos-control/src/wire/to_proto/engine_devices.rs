//! What engines tell of their devices, put to the controllers that a scan of the host found (contract 7.5).

use daos_membership::Rank;
use daos_proto::ctl;
use daos_proto::ctl::ResponseStatus::CtlErrNvme;
use daos_storage_nvme::PciAddress;

use super::state::failed;
use crate::drpc::{EngineDevice, EngineDeviceHealth};
use crate::engine::DevicesOfEngine;

/// Adds rank, roles, targets and health. A controller that only its engine sees is added; what merely stands in for one is not
/// told, as in the scan itself. An engine that does not answer makes the part failed and hides nothing.
pub fn add_engine_devices(part: &mut ctl::ScanNvmeResp, engines: &[DevicesOfEngine]) {
    for engine in engines {
        let devices = match &engine.devices {
            Ok(devices) => devices,
            Err(fault) => {
                let sound = part.state.as_ref().is_none_or(|state| state.status == 0);
                if sound {
                    part.state = Some(failed(CtlErrNvme, fault));
                }
                continue;
            }
        };
        for (device, health) in devices {
            let Ok(address) = device.address.parse::<PciAddress>() else { continue };
            add(part, &address.to_string(), engine.rank, device, health.as_ref());
        }
    }
    part.ctrlrs.sort_by(|a, b| a.pci_addr.cmp(&b.pci_addr));
}

fn add(
    part: &mut ctl::ScanNvmeResp,
    address: &str,
    rank: Option<Rank>,
    device: &EngineDevice,
    health: Option<&EngineDeviceHealth>,
) {
    let place = part.ctrlrs.iter().position(|known| known.pci_addr == address);
    let place = place.unwrap_or_else(|| {
        let socket_id = device.socket;
        let pci_addr = address.to_owned();
        part.ctrlrs.push(ctl::NvmeController { pci_addr, socket_id, ..Default::default() });
        part.ctrlrs.len() - 1
    });
    let Some(controller) = part.ctrlrs.get_mut(place) else { return };
    fill(controller, device);
    if let Some(health) = health {
        controller.health_stats = Some(health.to_proto());
    }
    controller.smd_devices.push(smd_device(rank, device, health));
}

/// What the engine reads from the device is newer than what was recorded before it was bound.
fn fill(controller: &mut ctl::NvmeController, device: &EngineDevice) {
    for (known, told) in [
        (&mut controller.model, &device.model),
        (&mut controller.serial, &device.serial),
        (&mut controller.fw_rev, &device.firmware),
    ] {
        if !told.is_empty() {
            known.clone_from(told);
        }
    }
    if controller.namespaces.is_empty() {
        let spaces = device.namespaces.iter().map(|(id, size)| ctl::nvme_controller::Namespace {
            id: *id,
            size: *size,
            ctrlr_pci_addr: controller.pci_addr.clone(),
        });
        controller.namespaces = spaces.collect();
    }
    controller.dev_state = device.state;
    controller.led_state = device.led;
}

fn smd_device(
    rank: Option<Rank>,
    device: &EngineDevice,
    health: Option<&EngineDeviceHealth>,
) -> ctl::SmdDevice {
    let health = health.cloned().unwrap_or_default();
    ctl::SmdDevice {
        uuid: device.uuid.clone(),
        tgt_ids: device.targets.clone(),
        rank: rank.map_or(Rank::NIL, Rank::get),
        role_bits: device.roles,
        ctrlr_namespace_id: device.namespace,
        total_bytes: health.total_bytes,
        avail_bytes: health.available_bytes,
        cluster_size: health.cluster_size,
        meta_wal_size: health.meta_wal_size,
        rdb_wal_size: health.rdb_wal_size,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;

    fn device(address: &str) -> EngineDevice {
        EngineDevice {
            uuid: format!("uuid of {address}"),
            address: address.into(),
            roles: 5,
            targets: vec![0, 1],
            state: 1,
            serial: "NEW".into(),
            ..EngineDevice::default()
        }
    }

    fn engine(rank: u32, devices: Vec<EngineDevice>, healthy: bool) -> DevicesOfEngine {
        let told = |device: EngineDevice| {
            let body = EngineDeviceHealth::encode(&device.uuid, Ok((10, 4)));
            let health = EngineDeviceHealth::decode(&body).unwrap().1;
            (device, healthy.then_some(health))
        };
        let devices = Ok(devices.into_iter().map(told).collect());
        DevicesOfEngine { index: rank, rank: Rank::new(rank), devices }
    }

    fn part(addresses: &[&str]) -> ctl::ScanNvmeResp {
        let controller = |address: &&str| ctl::NvmeController {
            pci_addr: (*address).to_owned(),
            model: "M".into(),
            serial: "OLD".into(),
            ..Default::default()
        };
        ctl::ScanNvmeResp {
            ctrlrs: addresses.iter().map(controller).collect(),
            state: Some(super::super::state::succeeded("")),
        }
    }

    #[test]
    fn a_bound_controller_shows_rank_roles_and_health_of_its_engine_r141() {
        let mut found = part(&["0000:81:00.0", "0000:82:00.0"]);
        let first = engine(3, vec![device("0000:82:00.0"), device("/dev/shm/file")], true);
        let second = engine(4, vec![device("0000:80:00.0")], false);
        add_engine_devices(&mut found, &[first, second]);
        let addresses: Vec<&str> = found.ctrlrs.iter().map(|each| &*each.pci_addr).collect();
        assert_eq!(addresses, ["0000:80:00.0", "0000:81:00.0", "0000:82:00.0"]);
        let [alone, spare, used] = found.ctrlrs.as_slice() else { panic!("{found:?}") };
        assert!(spare.smd_devices.is_empty() && spare.health_stats.is_none());
        assert_eq!((&*spare.serial, &*used.serial, &*used.model), ("OLD", "NEW", "M"));
        let smd = &used.smd_devices[0];
        assert_eq!((smd.rank, smd.role_bits, smd.total_bytes, smd.avail_bytes), (3, 5, 10, 4));
        assert_eq!(smd.tgt_ids, [0, 1]);
        assert_eq!(used.health_stats.as_ref().unwrap().dev_uuid, "uuid of 0000:82:00.0");
        assert!(alone.health_stats.is_none(), "it was not asked for");
        assert_eq!(found.state.unwrap().status, 0);
    }

    #[test]
    fn an_engine_that_does_not_answer_hides_nothing() {
        let mut found = part(&["0000:81:00.0"]);
        let devices = Err(Fault::new("drpc", 1260, "engine 0 babbles", "look at its log"));
        let silent = DevicesOfEngine { index: 0, rank: None, devices };
        let other = engine(1, vec![device("0000:81:00.0")], true);
        add_engine_devices(&mut found, &[silent, other]);
        assert_eq!(found.ctrlrs[0].smd_devices.len(), 1);
        assert_ne!(found.state.unwrap().status, 0);
    }
}
