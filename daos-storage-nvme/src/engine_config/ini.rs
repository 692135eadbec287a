//! The INI form: one tier, no roles, no options. For data planes with the seed's SPDK and
//! for our own emulated one.

use std::fmt::Write as _;

use super::{ConfigDevices, ConfigTier, EngineDeviceConfig, EngineOptions};
use crate::{BdevError, PciAddress, Roles};

/// What follows the devices in the section of class nvme.
const NVME_SETTINGS: [&str; 6] = [
    "RetryCount 4",
    "TimeoutUsec 0",
    "ActionOnTimeout None",
    "AdminPollRate 100000",
    "HotplugEnable No",
    "HotplugPollRate 0",
];

pub(super) fn render(config: &EngineDeviceConfig) -> Result<String, BdevError> {
    let inexpressible = |detail: &str| {
        Err(BdevError::ConfigInexpressible { form: "INI", detail: detail.to_owned() })
    };
    if config.options != EngineOptions::default() {
        return inexpressible("hot-plug, VMD, acceleration and other options");
    }
    let [tier] = config.tiers.as_slice() else {
        return inexpressible("more or less than one tier");
    };
    if !tier.roles.is_empty() || tier.tier != 1 {
        return inexpressible("roles, or a tier other than 1");
    }
    if !is_word(&config.host) {
        return inexpressible("a host name with blanks or quotes");
    }
    let host = &config.host;
    let mut lines = Vec::new();
    match &tier.devices {
        ConfigDevices::Nvme(addresses) => {
            lines.push("[Nvme]".to_owned());
            for (index, address) in addresses.iter().enumerate() {
                let id = format!("\"trtype:PCIe traddr:{address}\"");
                lines.push(format!("    TransportID {id} Nvme_{host}_{index}"));
            }
            lines.extend(NVME_SETTINGS.iter().map(|setting| format!("    {setting}")));
        }
        ConfigDevices::File(paths) | ConfigDevices::Kdev(paths) => {
            let is_file = matches!(tier.devices, ConfigDevices::File(_));
            lines.push("[AIO]".to_owned());
            for (index, path) in paths.iter().enumerate() {
                if !is_word(path) {
                    return inexpressible(&format!("the path \"{path}\" with blanks or quotes"));
                }
                let mut line = format!("    AIO {path} AIO_{host}_{index}");
                if is_file {
                    line.push_str(" 4096");
                }
                lines.push(line);
            }
        }
        ConfigDevices::Malloc { count, size_gib } => {
            lines.push("[Malloc]".to_owned());
            lines.push(format!("    NumberOfLuns {count}"));
            // The seed writes thousands of megabytes, whatever it calls them.
            lines.push(format!("    LunSizeInMB {size_gib}000"));
        }
    }
    let mut text = String::new();
    for line in lines {
        let _ = writeln!(text, "{line}"); // writing to a String cannot fail
    }
    Ok(text)
}

/// Whether it stays one word of a line.
fn is_word(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('#')
        && !text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '"')
}

pub(super) fn parse(text: &str) -> Result<EngineDeviceConfig, String> {
    let mut lines = text.lines();
    let section = lines.next().ok_or("the file is empty")?;
    let body: Vec<&str> = lines
        .map(|line| line.strip_prefix("    ").ok_or_else(|| format!("not indented: \"{line}\"")))
        .collect::<Result<_, String>>()?;
    let (host, devices) = match section {
        "[Nvme]" => parse_nvme(&body)?,
        "[AIO]" => parse_aio(&body)?,
        "[Malloc]" => (None, parse_malloc(&body)?),
        other => return Err(format!("unknown section \"{other}\"")),
    };
    if devices.is_empty() {
        return Err("no devices".to_owned());
    }
    let tier = ConfigTier { tier: 1, roles: Roles::NONE, devices };
    // Names of class malloc do not appear in the file, nor does the host.
    let host = host.unwrap_or_default();
    Ok(EngineDeviceConfig { host, tiers: vec![tier], options: EngineOptions::default() })
}

fn parse_nvme(body: &[&str]) -> Result<(Option<String>, ConfigDevices), String> {
    let devices = body.len().checked_sub(NVME_SETTINGS.len()).ok_or("lines are missing")?;
    let (devices, settings) = body.split_at(devices);
    if settings != NVME_SETTINGS {
        return Err("other settings than this version writes".to_owned());
    }
    let mut host = None;
    let mut addresses = Vec::new();
    for (index, line) in devices.iter().enumerate() {
        let rest = line.strip_prefix("TransportID \"trtype:PCIe traddr:");
        let (address, name) = rest
            .and_then(|rest| rest.split_once("\" "))
            .ok_or_else(|| format!("not a TransportID: \"{line}\""))?;
        addresses.push(address.parse::<PciAddress>().map_err(|error| error.to_string())?);
        same_host(&mut host, name, "Nvme_", index)?;
    }
    Ok((host, ConfigDevices::Nvme(addresses)))
}

fn parse_aio(body: &[&str]) -> Result<(Option<String>, ConfigDevices), String> {
    let mut host = None;
    let (mut files, mut devices) = (Vec::new(), Vec::new());
    for (index, line) in body.iter().enumerate() {
        match *line.split(' ').collect::<Vec<_>>() {
            ["AIO", path, name, "4096"] => {
                same_host(&mut host, name, "AIO_", index)?;
                files.push(path.to_owned());
            }
            ["AIO", path, name] => {
                same_host(&mut host, name, "AIO_", index)?;
                devices.push(path.to_owned());
            }
            _ => return Err(format!("not an AIO device: \"{line}\"")),
        }
    }
    match (files.is_empty(), devices.is_empty()) {
        (_, true) => Ok((host, ConfigDevices::File(files))),
        (true, false) => Ok((host, ConfigDevices::Kdev(devices))),
        (false, false) => Err("devices with and without block size".to_owned()),
    }
}

fn parse_malloc(body: &[&str]) -> Result<ConfigDevices, String> {
    let [luns, size] = body else { return Err("two lines expected".to_owned()) };
    let count = luns.strip_prefix("NumberOfLuns ").and_then(|n| n.parse().ok());
    let size = size
        .strip_prefix("LunSizeInMB ")
        .and_then(|size| size.strip_suffix("000"))
        .and_then(|gib| gib.parse().ok());
    match (count, size) {
        (Some(count), Some(size_gib)) => Ok(ConfigDevices::Malloc { count, size_gib }),
        _ => Err("NumberOfLuns or LunSizeInMB is not a number".to_owned()),
    }
}

fn same_host(
    host: &mut Option<String>,
    name: &str,
    kind: &str,
    index: usize,
) -> Result<(), String> {
    let found = name
        .strip_prefix(kind)
        .and_then(|rest| rest.strip_suffix(&format!("_{index}")))
        .filter(|found| host.as_ref().is_none_or(|host| host == found))
        .ok_or_else(|| format!("\"{name}\" is not the name of device {index}"))?;
    host.get_or_insert_with(|| found.to_owned());
    Ok(())
}
