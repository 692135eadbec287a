//! Rules of block device tiers (R55-R61, contract 5.5).

use std::path::PathBuf;

use super::check::{Check, INVALID, text};
use super::scm::misplaced;
use super::tiers::Written;
use crate::config::model::{BdevMedia, BdevRole, BdevTier, BusIdRange};
use crate::config::raw::RawTierClass;
use crate::fault::code;

/// Largest size of one file or malloc device, GiB.
const MAX_SIZE_GIB: i64 = 1 << 20;
/// More devices than any host has.
const MAX_MALLOC_DEVICES: i64 = 1024;

/// Checks one tier; none when it has no devices (R61) or a broken rule.
pub(super) fn tier(
    check: &mut Check<'_>,
    written: &Written<'_>,
    class: RawTierClass,
    index: usize,
) -> Option<BdevTier> {
    let roles = roles(check, written);
    unused_keys(check, written, class);
    let media = match class {
        RawTierClass::Nvme => nvme(check, written),
        RawTierClass::File => files(check, written),
        RawTierClass::Kdev => kernel_devices(check, written),
        _ => malloc(check, written),
    }?;
    if media.device_count() == 0 {
        no_devices(check, written, !roles.is_empty());
        return None;
    }
    Some(BdevTier { tier: u32::try_from(index).unwrap_or(u32::MAX), roles, media })
}

/// Refuses block device keys on the SCM tier.
pub(super) fn refuse_keys(check: &mut Check<'_>, written: &Written<'_>, class: RawTierClass) {
    let keys = [
        ("bdev_list", written.tier.bdev_list.is_some()),
        ("bdev_number", written.tier.bdev_number.is_some()),
        ("bdev_size", written.tier.bdev_size.is_some()),
        ("bdev_busid_range", written.tier.bdev_busid_range.is_some()),
        ("bdev_roles", written.tier.bdev_roles.is_some()),
    ];
    for (key, _) in keys.iter().filter(|(_, is_written)| *is_written) {
        misplaced(check, written, key, class);
    }
}

/// Reads a list of PCI addresses, lower-cased.
pub(super) fn addresses(
    check: &mut Check<'_>,
    key: &str,
    written: Option<&Vec<String>>,
) -> Vec<String> {
    let mut addresses: Vec<String> = Vec::new();
    for (index, entry) in written.into_iter().flatten().enumerate() {
        let path = format!("{key}[{index}]");
        let address = entry.to_ascii_lowercase();
        if !is_pci_address(&address) {
            check.fault(
                path,
                code::BDEV_BAD_PCI_ADDRESS,
                format!("`{entry}` is not a PCI address"),
                "write domain, bus, device and function, e.g. `0000:81:00.0`",
            );
        } else if !addresses.contains(&address) {
            addresses.push(address);
        } else {
            repeated(check, path, entry);
        }
    }
    addresses
}

/// `DDDD:BB:DD.F`, or with a six-digit domain that names a VMD device.
fn is_pci_address(text: &str) -> bool {
    let hex = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let mut parts = text.splitn(3, ':');
    let (Some(domain), Some(bus), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let Some((device, function)) = rest.split_once('.') else { return false };
    let small = |part: &str, most: u8| u8::from_str_radix(part, 16).is_ok_and(|n| n <= most);
    (hex(domain, 4) || hex(domain, 6))
        && hex(bus, 2)
        && hex(device, 2)
        && small(device, 0x1f)
        && hex(function, 1)
        && small(function, 7)
}

/// The address of the volume management device (VMD) that the device at `address` is behind: `5d0505:01:00.0` is behind `0000:5d:05.5`.
pub(crate) fn vmd_of(address: &str) -> Option<String> {
    let (domain, _) = address.split_once(':')?;
    let digits = |range| domain.get(range).filter(|_| domain.len() == 6);
    let function = digits(5..6)?;
    Some(format!("0000:{}:{}.{function}", digits(0..2)?, digits(2..4)?))
}

fn repeated(check: &mut Check<'_>, path: String, entry: &str) {
    check.fault(path, INVALID, format!("`{entry}` is named twice"), "name each device once");
}

fn nvme(check: &mut Check<'_>, written: &Written<'_>) -> Option<BdevMedia> {
    let addresses = addresses(check, &written.key("bdev_list"), written.tier.bdev_list.as_ref());
    let complete = addresses.len() == written.tier.bdev_list.as_ref().map_or(0, Vec::len);
    let bus_ids = bus_ids(check, written);
    complete.then_some(BdevMedia::Nvme { addresses, bus_ids })
}

fn bus_ids(check: &mut Check<'_>, written: &Written<'_>) -> Option<BusIdRange> {
    let range = text(written.tier.bdev_busid_range.as_ref())?;
    let bus = |part: &str| {
        let digits = part.trim().trim_start_matches("0x").trim_start_matches("0X");
        u8::from_str_radix(digits, 16).ok()
    };
    let ends = range.split_once('-').and_then(|(first, last)| Some((bus(first)?, bus(last)?)));
    match ends {
        Some((first, last)) if first <= last => Some(BusIdRange { first, last }),
        _ => {
            check.fault(
                written.key("bdev_busid_range"),
                INVALID,
                format!("`{range}` is not a range of PCI buses"),
                "write first and last bus in hexadecimal, e.g. `0x80-0x8f`",
            );
            None
        }
    }
}

fn files(check: &mut Check<'_>, written: &Written<'_>) -> Option<BdevMedia> {
    let paths = paths(check, written)?;
    if paths.is_empty() {
        return Some(BdevMedia::File { paths, size_gib: 0 });
    }
    let size_gib = size(check, written, "class file has no size")?;
    Some(BdevMedia::File { paths, size_gib })
}

fn kernel_devices(check: &mut Check<'_>, written: &Written<'_>) -> Option<BdevMedia> {
    Some(BdevMedia::Kdev { devices: paths(check, written)? })
}

fn paths(check: &mut Check<'_>, written: &Written<'_>) -> Option<Vec<PathBuf>> {
    let key = written.key("bdev_list");
    let list = written.tier.bdev_list.as_deref().unwrap_or_default();
    let mut paths: Vec<PathBuf> = Vec::new();
    for (index, entry) in list.iter().enumerate() {
        let path = format!("{key}[{index}]");
        let Some(absolute) = check.absolute(&path, entry) else { continue };
        if paths.contains(&absolute) {
            repeated(check, path, entry);
        } else {
            paths.push(absolute);
        }
    }
    (paths.len() == list.len()).then_some(paths)
}

fn malloc(check: &mut Check<'_>, written: &Written<'_>) -> Option<BdevMedia> {
    let key = written.key("bdev_number");
    let count: u32 = match written.tier.bdev_number {
        None => 0,
        number => check.number(&key, number, 0..=MAX_MALLOC_DEVICES, INVALID)?,
    };
    if count == 0 {
        return Some(BdevMedia::Malloc { count, size_gib: 0 });
    }
    check.protect(
        written.class_path(),
        code::CONFIG_MALLOC_WITH_REAL_ENGINE,
        "DAOS 2.8 engines have no class malloc",
        "use class file, or set `data_plane: emulated`",
    );
    let size_gib = size(check, written, "class malloc has no size")?;
    Some(BdevMedia::Malloc { count, size_gib })
}

fn size(check: &mut Check<'_>, written: &Written<'_>, missing: &str) -> Option<u32> {
    let key = written.key("bdev_size");
    if written.tier.bdev_size.is_none() {
        check.fault(key, INVALID, missing, "set `bdev_size` to the size of each device in GiB");
        return None;
    }
    check.number(&key, written.tier.bdev_size, 1..=MAX_SIZE_GIB, INVALID)
}

fn no_devices(check: &mut Check<'_>, written: &Written<'_>, has_roles: bool) {
    if has_roles {
        let remedy = "name at least one device in `bdev_list`";
        check.fault(written.key("bdev_list"), INVALID, "a tier with roles has no devices", remedy);
    } else if !written.flat || written.tier.bdev_list.is_some() {
        check.notice(written.key("bdev_list"), "no devices: the engine has SCM only");
    }
}

fn unused_keys(check: &mut Check<'_>, written: &Written<'_>, class: RawTierClass) {
    let is_malloc = class == RawTierClass::Malloc;
    let sized = is_malloc || class == RawTierClass::File;
    let unused = [
        ("bdev_list", is_malloc && written.tier.bdev_list.as_ref().is_some_and(|l| !l.is_empty())),
        ("bdev_number", !is_malloc && written.tier.bdev_number.is_some_and(|number| number != 0)),
        ("bdev_size", !sized && written.tier.bdev_size.is_some_and(|size| size != 0)),
        (
            "bdev_busid_range",
            class != RawTierClass::Nvme && written.tier.bdev_busid_range.is_some(),
        ),
    ];
    for (key, _) in unused.iter().filter(|(_, is_written)| *is_written) {
        let text = format!("without effect for class {}", class.name());
        check.notice(written.key(key), text);
    }
}

fn roles(check: &mut Check<'_>, written: &Written<'_>) -> Vec<BdevRole> {
    let mut roles = Vec::new();
    for (index, word) in written.tier.bdev_roles.iter().flatten().enumerate() {
        match word.as_str() {
            "data" => roles.push(BdevRole::Data),
            "meta" => roles.push(BdevRole::Meta),
            "wal" => roles.push(BdevRole::Wal),
            "na" => {}
            other => check.fault(
                written.key(&format!("bdev_roles[{index}]")),
                code::BDEV_CONFIG_OPT_FLAG_UNKNOWN,
                format!("`{other}` is not a role"),
                "use wal, meta and data",
            ),
        }
    }
    roles.sort_unstable();
    roles.dedup();
    roles
}

#[cfg(test)]
mod tests {
    use super::{is_pci_address, vmd_of};

    #[test]
    fn r46_a_device_behind_a_vmd_names_it() {
        assert_eq!(vmd_of("5d0505:01:00.0").as_deref(), Some("0000:5d:05.5"));
        assert_eq!(vmd_of("0000:81:00.0"), None);
    }

    #[test]
    fn r56_pci_addresses() {
        for good in ["0000:81:00.0", "5d0505:01:00.0", "0000:ff:1f.7"] {
            assert!(is_pci_address(good), "{good}");
        }
        for bad in [
            "",
            "000:2",
            "81:00.0",
            "0000:81:00",
            "0000:81:20.0",
            "0000:81:00.8",
            "0000:81:00.0 ",
            "0000:8g:00.0",
            "/dev/nvme0n1",
            "00000:81:00.0",
            "0000:81:00.0.0",
            "0000:+1:00.0",
        ] {
            assert!(!is_pci_address(bad), "{bad}");
        }
    }
}
