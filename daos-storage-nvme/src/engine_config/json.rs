//! The JSON form (contract 5.3): order of keys, names and numbers are what engines of 2.8 parse.
//!
//! Class malloc has no place in that contract; it is written as SPDK's `bdev_malloc_create` and read by the
//! emulated data plane only.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    Acceleration, AutoFaulty, BusIdRange, ConfigDevices, ConfigTier, DeviceName,
    EngineDeviceConfig, EngineOptions, IoBuffers, MAX_NAME, SpdkRpcServer,
};
use crate::{BdevError, PciAddress};

const AIO_FILE_BLOCK: u32 = 4096;
const MALLOC_BLOCK: u64 = 4096;
const HOTPLUG_PERIOD_US: u64 = 5_000_000;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    daos_data: DaosData,
    subsystems: Vec<Subsystem>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DaosData {
    config: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Subsystem {
    subsystem: String,
    config: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    params: Value,
    method: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AttachController {
    trtype: String,
    name: String,
    traddr: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AioCreate {
    block_size: u32,
    name: String,
    filename: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MallocCreate {
    num_blocks: u64,
    block_size: u64,
    name: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetHotplug {
    enable: bool,
    period_us: u64,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PoolCounts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    small_pool_count: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    large_pool_count: Option<u32>,
}

/// The two entries every file starts with.
fn fixed_entries() -> [Entry; 2] {
    let entry = |method: &str, params| Entry { params, method: method.to_owned() };
    [
        entry("bdev_set_options", json!({ "bdev_io_pool_size": 65536, "bdev_io_cache_size": 256 })),
        entry(
            "bdev_nvme_set_options",
            json!({
                "transport_retry_count": 4,
                "timeout_us": 0,
                "nvme_adminq_poll_period_us": 100_000,
                "action_on_timeout": "none",
                "nvme_ioq_poll_period_us": 0,
            }),
        ),
    ]
}

pub(super) fn render(config: &EngineDeviceConfig) -> Result<String, BdevError> {
    let failed = |error: serde_json::Error| inexpressible(error.to_string());
    let document = Document {
        daos_data: DaosData { config: daos_entries(&config.options).map_err(failed)? },
        subsystems: subsystems(config)?,
    };
    let mut text = serde_json::to_string_pretty(&document).map_err(failed)?;
    text.push('\n');
    Ok(text)
}

fn inexpressible(detail: String) -> BdevError {
    BdevError::ConfigInexpressible { form: "JSON", detail }
}

fn entry(method: &str, params: impl Serialize) -> Result<Entry, serde_json::Error> {
    Ok(Entry { params: serde_json::to_value(params)?, method: method.to_owned() })
}

fn daos_entries(options: &EngineOptions) -> Result<Vec<Entry>, serde_json::Error> {
    let mut entries = Vec::new();
    if let Some(acceleration) = &options.acceleration {
        entries.push(entry("accel_props", acceleration)?);
    }
    if let Some(server) = &options.spdk_rpc_server {
        entries.push(entry("spdk_rpc_srv", server)?);
    }
    if let Some(faulty) = &options.auto_faulty {
        entries.push(entry("auto_faulty", faulty)?);
    }
    if let Some(range) = &options.hotplug {
        entries.push(entry("hotplug_busid_range", range)?);
    }
    Ok(entries)
}

fn subsystems(config: &EngineDeviceConfig) -> Result<Vec<Subsystem>, BdevError> {
    let failed = |error: serde_json::Error| inexpressible(error.to_string());
    let options = &config.options;
    let mut bdev: Vec<Entry> = fixed_entries().into();
    for tier in &config.tiers {
        bdev.extend(tier_entries(&config.host, tier)?);
    }
    let enable = options.hotplug.is_some();
    let period_us = if enable { HOTPLUG_PERIOD_US } else { 0 };
    bdev.push(entry("bdev_nvme_set_hotplug", SetHotplug { enable, period_us }).map_err(failed)?);
    let mut subsystems = vec![Subsystem { subsystem: "bdev".to_owned(), config: bdev }];

    let has_nvme = config.tiers.iter().any(|tier| matches!(tier.devices, ConfigDevices::Nvme(_)));
    if options.vmd && has_nvme {
        let enable = entry("vmd_enable", Map::new()).map_err(failed)?;
        subsystems.push(Subsystem { subsystem: "vmd".to_owned(), config: vec![enable] });
    }
    if let Some(buffers) = options.io_buffers {
        let count = |count: u32| (count != 0).then_some(count);
        let counts = PoolCounts {
            small_pool_count: count(buffers.small_pool_count),
            large_pool_count: count(buffers.large_pool_count),
        };
        let set = entry("iobuf_set_options", counts).map_err(failed)?;
        subsystems.push(Subsystem { subsystem: "iobuf".to_owned(), config: vec![set] });
    }
    Ok(subsystems)
}

fn tier_entries(host: &str, tier: &ConfigTier) -> Result<Vec<Entry>, BdevError> {
    let name = |kind: &str, index: u32| {
        let id = DeviceName { host: host.to_owned(), index, tier: tier.tier, roles: tier.roles };
        let name = format!("{kind}_{id}");
        if name.chars().count() <= MAX_NAME {
            return Ok(name);
        }
        Err(inexpressible(format!("the device name {name} is longer than {MAX_NAME} characters")))
    };
    let made = |method: &str, params: Result<Value, serde_json::Error>| {
        let params = params.map_err(|error| inexpressible(error.to_string()))?;
        Ok(Entry { params, method: method.to_owned() })
    };
    let aio = |path: &String, index: u32, block_size: u32| {
        let create = AioCreate { block_size, name: name("AIO", index)?, filename: path.clone() };
        made("bdev_aio_create", serde_json::to_value(create))
    };
    match &tier.devices {
        ConfigDevices::Nvme(addresses) => addresses
            .iter()
            .zip(0u32..)
            .map(|(address, index)| {
                let attach = AttachController {
                    trtype: "PCIe".to_owned(),
                    name: name("Nvme", index)?,
                    traddr: address.to_string(),
                };
                made("bdev_nvme_attach_controller", serde_json::to_value(attach))
            })
            .collect(),
        ConfigDevices::File(paths) => {
            paths.iter().zip(0u32..).map(|(path, i)| aio(path, i, AIO_FILE_BLOCK)).collect()
        }
        ConfigDevices::Kdev(paths) => {
            paths.iter().zip(0u32..).map(|(path, i)| aio(path, i, 0)).collect()
        }
        ConfigDevices::Malloc { count, size_gib } => {
            let num_blocks = size_gib
                .checked_mul((1 << 30) / MALLOC_BLOCK)
                .ok_or_else(|| inexpressible(format!("{size_gib} GiB")))?;
            (0..*count)
                .map(|index| {
                    let name = name("Malloc", index)?;
                    let create = MallocCreate { num_blocks, block_size: MALLOC_BLOCK, name };
                    made("bdev_malloc_create", serde_json::to_value(create))
                })
                .collect()
        }
    }
}

pub(super) fn parse(text: &str) -> Result<EngineDeviceConfig, String> {
    let document: Document = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut options = EngineOptions::default();
    parse_daos_data(document.daos_data, &mut options)?;
    let mut builder = TierBuilder::default();
    let mut hotplug = None;
    for (position, subsystem) in document.subsystems.into_iter().enumerate() {
        match (position, subsystem.subsystem.as_str()) {
            (0, "bdev") => hotplug = Some(parse_bdev(subsystem.config, &mut builder)?),
            (1.., "vmd") if !options.vmd => {
                let [only] = one_entry(subsystem)?;
                let params: Map<String, Value> = params(&only, "vmd_enable")?;
                if !params.is_empty() {
                    return Err("vmd_enable takes no params".to_owned());
                }
                options.vmd = true;
            }
            (1.., "iobuf") if options.io_buffers.is_none() => {
                let [only] = one_entry(subsystem)?;
                let counts: PoolCounts = params(&only, "iobuf_set_options")?;
                options.io_buffers = Some(IoBuffers {
                    small_pool_count: counts.small_pool_count.unwrap_or(0),
                    large_pool_count: counts.large_pool_count.unwrap_or(0),
                });
            }
            (_, name) => return Err(format!("unexpected subsystem \"{name}\"")),
        }
    }
    let Some(hotplug) = hotplug else { return Err("no subsystem \"bdev\"".to_owned()) };
    if hotplug.enable != options.hotplug.is_some() {
        return Err("bdev_nvme_set_hotplug and hotplug_busid_range disagree".to_owned());
    }
    let (host, tiers) = builder.finish();
    Ok(EngineDeviceConfig { host, tiers, options })
}

fn one_entry(subsystem: Subsystem) -> Result<[Entry; 1], String> {
    let name = subsystem.subsystem;
    subsystem.config.try_into().map_err(|_| format!("subsystem \"{name}\": one entry expected"))
}

fn params<T: serde::de::DeserializeOwned>(entry: &Entry, method: &str) -> Result<T, String> {
    if entry.method != method {
        return Err(format!("method \"{}\" where \"{method}\" is expected", entry.method));
    }
    serde_json::from_value(entry.params.clone()).map_err(|error| format!("{method}: {error}"))
}

fn parse_daos_data(data: DaosData, options: &mut EngineOptions) -> Result<(), String> {
    for entry in data.config {
        let repeated = match entry.method.as_str() {
            "accel_props" => options
                .acceleration
                .replace(params::<Acceleration>(&entry, "accel_props")?)
                .is_some(),
            "spdk_rpc_srv" => options
                .spdk_rpc_server
                .replace(params::<SpdkRpcServer>(&entry, "spdk_rpc_srv")?)
                .is_some(),
            "auto_faulty" => {
                options.auto_faulty.replace(params::<AutoFaulty>(&entry, "auto_faulty")?).is_some()
            }
            "hotplug_busid_range" => options
                .hotplug
                .replace(params::<BusIdRange>(&entry, "hotplug_busid_range")?)
                .is_some(),
            other => return Err(format!("daos_data: unknown method \"{other}\"")),
        };
        if repeated {
            return Err(format!("daos_data: method \"{}\" occurs twice", entry.method));
        }
    }
    Ok(())
}

fn parse_bdev(entries: Vec<Entry>, builder: &mut TierBuilder) -> Result<SetHotplug, String> {
    let mut entries = entries.into_iter();
    for expected in fixed_entries() {
        let found: Value = match entries.next() {
            Some(entry) => params(&entry, &expected.method)?,
            None => return Err(format!("no \"{}\"", expected.method)),
        };
        if found != expected.params {
            return Err(format!("{}: other values than this version writes", expected.method));
        }
    }
    let Some(last) = entries.next_back() else {
        return Err("no \"bdev_nvme_set_hotplug\"".to_owned());
    };
    for entry in entries {
        builder.add(&entry)?;
    }
    let hotplug: SetHotplug = params(&last, "bdev_nvme_set_hotplug")?;
    let period = if hotplug.enable { HOTPLUG_PERIOD_US } else { 0 };
    if hotplug.period_us != period {
        return Err(format!("bdev_nvme_set_hotplug: period_us is not {period}"));
    }
    Ok(hotplug)
}

/// Puts devices back into tiers, in the order they were written.
#[derive(Default)]
struct TierBuilder {
    host: Option<String>,
    tiers: Vec<ConfigTier>,
}

impl TierBuilder {
    fn add(&mut self, entry: &Entry) -> Result<(), String> {
        match entry.method.as_str() {
            "bdev_nvme_attach_controller" => {
                let attach: AttachController = params(entry, &entry.method)?;
                if attach.trtype != "PCIe" {
                    return Err(format!("{}: trtype is not PCIe", attach.name));
                }
                let address: PciAddress =
                    attach.traddr.parse().map_err(|error: BdevError| error.to_string())?;
                self.push(&attach.name, "Nvme", ConfigDevices::Nvme(vec![address]))
            }
            "bdev_aio_create" => {
                let create: AioCreate = params(entry, &entry.method)?;
                let devices = match create.block_size {
                    AIO_FILE_BLOCK => ConfigDevices::File(vec![create.filename]),
                    0 => ConfigDevices::Kdev(vec![create.filename]),
                    other => return Err(format!("{}: block_size {other}", create.name)),
                };
                self.push(&create.name, "AIO", devices)
            }
            "bdev_malloc_create" => {
                let create: MallocCreate = params(entry, &entry.method)?;
                let per_gib = (1 << 30) / MALLOC_BLOCK;
                if create.block_size != MALLOC_BLOCK || !create.num_blocks.is_multiple_of(per_gib) {
                    return Err(format!("{}: not a whole number of GiB", create.name));
                }
                let size_gib = create.num_blocks / per_gib;
                self.push(&create.name, "Malloc", ConfigDevices::Malloc { count: 1, size_gib })
            }
            other => Err(format!("bdev: unknown method \"{other}\"")),
        }
    }

    fn push(&mut self, name: &str, kind: &str, device: ConfigDevices) -> Result<(), String> {
        let parsed = name
            .strip_prefix(kind)
            .and_then(|rest| rest.strip_prefix('_'))
            .and_then(DeviceName::parse)
            .ok_or_else(|| format!("\"{name}\" is not a name this version writes"))?;
        let host = self.host.get_or_insert_with(|| parsed.host.clone());
        if *host != parsed.host {
            return Err(format!("\"{name}\": other host than \"{host}\""));
        }
        let same_tier = self.tiers.last_mut().filter(|tier| tier.tier == parsed.tier);
        let fits = match same_tier {
            Some(tier) => {
                tier.roles == parsed.roles
                    && tier.devices.len() == parsed.index as usize
                    && append(&mut tier.devices, device)
            }
            None => {
                let ascending = self.tiers.last().map_or(0, |tier| tier.tier) < parsed.tier;
                let (tier, roles) = (parsed.tier, parsed.roles);
                self.tiers.push(ConfigTier { tier, roles, devices: device });
                ascending && parsed.index == 0
            }
        };
        if fits { Ok(()) } else { Err(format!("\"{name}\" does not follow the device before it")) }
    }

    fn finish(self) -> (String, Vec<ConfigTier>) {
        (self.host.unwrap_or_default(), self.tiers)
    }
}

fn append(devices: &mut ConfigDevices, next: ConfigDevices) -> bool {
    match (devices, next) {
        (ConfigDevices::Nvme(all), ConfigDevices::Nvme(next)) => all.extend(next),
        (ConfigDevices::File(all), ConfigDevices::File(next))
        | (ConfigDevices::Kdev(all), ConfigDevices::Kdev(next)) => all.extend(next),
        (
            ConfigDevices::Malloc { count, size_gib },
            ConfigDevices::Malloc { size_gib: next, .. },
        ) if *size_gib == next => *count += 1,
        _ => return false,
    }
    true
}
