//! One device or directory under two names: symbolic links, by-id names, hard links, a disk and its partition, a kernel device and the
//! controller behind it (R46). The rule is pure; `DeviceNames::observe` looks.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::check::{Findings, Problem};
use super::rules::Rule;
use crate::config::{BdevMedia, EngineConfig, ScmTier, ServerConfig, vmd_of};
use crate::fault::code;

/// What is followed.
const SEEN: &str = "links, device numbers, /sys/dev/block";

/// Where the names in a configuration lead on this host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceNames {
    named: BTreeMap<PathBuf, Leads>,
}

/// Where one name leads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Leads {
    /// The path without symbolic links, as far as it exists.
    real: PathBuf,
    /// Device and inode of what is not a block device.
    inode: Option<(u64, u64)>,
    /// Number of the block device.
    block: Option<u64>,
    /// Number of the disk that the partition is on.
    disk: Option<u64>,
    /// PCI addresses on the way to it, in the spelling of the configuration.
    pci: Vec<String>,
}

impl DeviceNames {
    /// Looks where every path of `config` leads. What does not exist yet leads as far as its directory.
    #[must_use]
    pub fn observe(config: &ServerConfig) -> Self {
        Self::observe_at(config, Path::new("/sys"))
    }

    fn observe_at(config: &ServerConfig, sys: &Path) -> Self {
        let paths = uses(config).into_iter().filter_map(|used| used.path);
        Self { named: paths.map(|path| (path.clone(), leads(&path, sys))).collect() }
    }
}

fn leads(path: &Path, sys: &Path) -> Leads {
    let mut leads = Leads { real: real(path), ..Leads::default() };
    let Ok(found) = fs::metadata(path) else { return leads };
    if !found.file_type().is_block_device() {
        leads.inode = Some((found.dev(), found.ino()));
        return leads;
    }
    let number = found.rdev();
    leads.block = Some(number);
    let name = format!("{}:{}", rustix::fs::major(number), rustix::fs::minor(number));
    let Ok(place) = fs::canonicalize(sys.join("dev/block").join(name)) else { return leads };
    if place.join("partition").exists() {
        leads.disk = place.parent().and_then(|disk| device_number(&disk.join("dev")));
    }
    leads.pci = addresses_on_the_way(&place);
    leads
}

/// Symbolic links are followed as far as the path exists.
fn real(path: &Path) -> PathBuf {
    for existing in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (fs::canonicalize(existing), path.strip_prefix(existing)) {
            return real.join(rest).components().collect();
        }
    }
    path.components().collect()
}

fn device_number(file: &Path) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let (major, minor) = text.trim().split_once(':')?;
    Some(rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?))
}

/// A device behind a VMD is in a domain of its own below the VMD's address; the configuration names it by both.
fn addresses_on_the_way(place: &Path) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for part in place.components().filter_map(|part| part.as_os_str().to_str()) {
        let Some((domain, rest)) = part.split_once(':') else { continue };
        let hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
        let shaped = rest.len() == 7
            && rest.bytes().enumerate().all(|(at, b)| match at {
                2 => b == b':',
                5 => b == b'.',
                _ => b.is_ascii_hexdigit(),
            });
        if !shaped || !hex(domain) {
            continue;
        }
        match domain.len() {
            4 => found.push(part.to_ascii_lowercase()),
            _ => found.extend(
                found.last().and_then(|vmd| behind(vmd)).map(|vmd| format!("{vmd}:{rest}")),
            ),
        }
    }
    found
}

/// `0000:5d:05.5` as the domain `5d0505`; the domain of a device that is itself behind one stays.
fn behind(vmd: &str) -> Option<String> {
    let (domain, rest) = vmd.split_once(':')?;
    if domain.len() == 6 {
        return Some(domain.to_owned());
    }
    let digits: Vec<&str> = rest.split([':', '.']).collect();
    match digits.as_slice() {
        [bus, device, function] => Some(format!("{bus}{device}0{function}")),
        _ => None,
    }
}

/// What a name is used for; what two uses may have in common depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Mount,
    Scm,
    Bdev,
    Metadata,
}

struct Use {
    purpose: Purpose,
    /// The engine, or none for the whole server.
    engine: Option<u32>,
    name: String,
    path: Option<PathBuf>,
}

fn uses(config: &ServerConfig) -> Vec<Use> {
    let mut uses: Vec<Use> = config.engines.iter().flat_map(engine_uses).collect();
    if let Some(device) =
        config.control_metadata.as_ref().and_then(|metadata| metadata.device.clone())
    {
        uses.push(Use {
            purpose: Purpose::Metadata,
            engine: None,
            name: device.display().to_string(),
            path: Some(device),
        });
    }
    uses
}

fn engine_uses(engine: &EngineConfig) -> Vec<Use> {
    let mut uses = Vec::new();
    let mut add = |purpose, name: String, path| {
        uses.push(Use { purpose, engine: Some(engine.index), name, path });
    };
    let mut add_path =
        |purpose, path: &Path| add(purpose, path.display().to_string(), Some(path.to_owned()));
    add_path(Purpose::Mount, engine.scm.mount());
    if let ScmTier::Dcpm { device, .. } = &engine.scm {
        add_path(Purpose::Scm, device);
    }
    for tier in &engine.bdevs {
        match &tier.media {
            BdevMedia::File { paths, .. } | BdevMedia::Kdev { devices: paths } => {
                paths.iter().for_each(|path| add_path(Purpose::Bdev, path));
            }
            BdevMedia::Nvme { .. } | BdevMedia::Malloc { .. } => {}
        }
    }
    for tier in &engine.bdevs {
        if let BdevMedia::Nvme { addresses, .. } = &tier.media {
            addresses.iter().for_each(|address| add(Purpose::Bdev, address.clone(), None));
        }
    }
    uses
}

/// Two names for one thing are refused, also within one engine, and also with the emulated data plane: it writes to devices, too.
pub(super) fn apart(findings: &mut Findings<'_>, names: &DeviceNames) {
    let Some(asked) = findings.asked() else { return };
    let uses = uses(asked.config);
    for (place, used) in uses.iter().enumerate() {
        let earlier = uses.iter().take(place);
        for (other, why) in
            earlier.filter_map(|other| Some((other, in_common(other, used, names)?)))
        {
            let whose = |each: &Use| match each.engine {
                Some(engine) => format!("engine {engine}"),
                None => "the server".to_owned(),
            };
            let text = format!(
                "`{}` of {} and `{}` of {} {why}",
                used.name,
                whose(used),
                other.name,
                whose(other)
            );
            let (key, code) = match (used.purpose, other.purpose) {
                (Purpose::Mount, _) => ("scm_mount", code::SERVER_CONFIG_DUPLICATE_SCM_MOUNT),
                (Purpose::Scm, Purpose::Scm) => {
                    ("scm_list", code::SERVER_CONFIG_DUPLICATE_SCM_DEVICE_LIST)
                }
                (Purpose::Bdev, Purpose::Bdev) => {
                    ("bdev_list", code::SERVER_CONFIG_OVERLAPPING_BDEV_DEVICE_LIST)
                }
                (Purpose::Scm, _) => ("scm_list", code::CONFIG_SAME_DEVICE),
                (Purpose::Bdev, _) => ("bdev_list", code::CONFIG_SAME_DEVICE),
                (Purpose::Metadata, _) => ("", code::CONFIG_SAME_DEVICE),
            };
            let key = match used.engine {
                Some(index) => asked.storage_key(index, key),
                None => "control_metadata.device".to_owned(),
            };
            let fix = "use each device and directory once, under one name";
            findings
                .require(Problem::new(Rule::SameDevice, code, text, fix).at(key).seen(SEEN, why));
        }
    }
    if !asked.config.engines.is_empty() {
        let count = format!("{} names", uses.len());
        findings.passed_so_far(Rule::SameDevice, "every name is a thing of its own", SEEN, count);
    }
}

/// What two uses have in common, in words.
fn in_common(one: &Use, other: &Use, names: &DeviceNames) -> Option<String> {
    let mounts = [one, other].map(|used| used.purpose == Purpose::Mount);
    if mounts[0] != mounts[1] {
        return None;
    }
    let leads = |used: &Use| used.path.as_ref().and_then(|path| names.named.get(path));
    match (leads(one), leads(other)) {
        (Some(one), Some(other)) if mounts[0] => nested(&one.real, &other.real),
        (Some(one), Some(other)) => same_device(one, other),
        (Some(device), None) => behind_controller(device, &other.name),
        (None, Some(device)) => behind_controller(device, &one.name),
        (None, None) => None,
    }
}

fn nested(one: &Path, other: &Path) -> Option<String> {
    if one == other {
        return Some(format!("are both {}", one.display()));
    }
    (one.starts_with(other) || other.starts_with(one))
        .then(|| format!("lie in each other: {} and {}", other.display(), one.display()))
}

fn same_device(one: &Leads, other: &Leads) -> Option<String> {
    let is_one = (one.block.is_some() && one.block == other.block)
        || (one.inode.is_some() && one.inode == other.inode)
        || one.real == other.real;
    if is_one {
        return Some(match one.real == other.real {
            true => format!("are both {}", one.real.display()),
            false => format!("are one thing, {} and {}", other.real.display(), one.real.display()),
        });
    }
    let partition = (one.disk.is_some() && one.disk == other.block)
        || (other.disk.is_some() && other.disk == one.block);
    partition.then(|| "are a disk and a partition of it".to_owned())
}

fn behind_controller(device: &Leads, address: &str) -> Option<String> {
    let found = device.pci.iter().any(|on_the_way| {
        on_the_way == address || vmd_of(on_the_way).is_some_and(|vmd| vmd == address)
    });
    found.then(|| format!("are one controller, with {}", device.real.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};

    use super::{DeviceNames, Leads, addresses_on_the_way, behind_controller, same_device};
    use crate::config::testing::config;
    use crate::preflight::check::Findings;
    use crate::preflight::{Asked, ConfigKeys, Severity};

    fn engines(first: &str, second: &str) -> String {
        format!(
            "data_plane: emulated\nprovider: ofi+tcp\nfabric_iface: lo\nengines:\n\
             - {{targets: 1, fabric_iface_port: 31416, storage: [{first}]}}\n\
             - {{targets: 1, fabric_iface_port: 31516, storage: [{second}]}}\n"
        )
    }

    fn faults(text: &str) -> Vec<(i32, String)> {
        let config = config(text);
        let keys = ConfigKeys { engine_list: "engines", ..ConfigKeys::default() };
        let mut findings = Findings::new(Some(Asked { config: &config, keys: &keys }));
        super::apart(&mut findings, &DeviceNames::observe(&config));
        let errors = findings.into_list().into_iter();
        let errors = errors.filter(|found| found.severity == Severity::Error);
        errors.map(|found| (found.code, found.text)).collect()
    }

    #[test]
    fn r46_files_and_mounts_under_two_names_are_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name).display().to_string();
        fs::create_dir(at("real")).expect("made");
        symlink(at("real"), at("link")).expect("linked");
        fs::write(at("file"), "x").expect("written");
        fs::hard_link(at("file"), at("hard")).expect("linked");
        let ram = |mount: &str| format!("{{class: ram, scm_mount: {}}}", at(mount));
        let file = |path: &str| format!("{{class: file, bdev_size: 1, bdev_list: [{}]}}", at(path));
        let pair = |a: &str, b: &str| {
            faults(&engines(
                &format!("{}, {}", ram("m0"), file(a)),
                &format!("{}, {}", ram("m1"), file(b)),
            ))
        };
        // Files that do not exist yet, through a symbolic link to their directory.
        let found = pair("real/a", "link/a");
        assert!(
            found.len() == 1 && found[0].0 == 713 && found[0].1.contains("are both"),
            "{found:?}"
        );
        let found = pair("file", "hard");
        assert!(
            found.len() == 1 && found[0].0 == 713 && found[0].1.contains("are one thing"),
            "{found:?}"
        );
        assert_eq!(pair("real/a", "link/b"), []);
        let mounts = |a: &str, b: &str| faults(&engines(&ram(a), &ram(b)));
        assert_eq!(mounts("real/a", "real/b"), []);
        let found = mounts("real/a", "link/a");
        assert!(found.len() == 1 && found[0].0 == 711, "{found:?}");
        let found = mounts("real", "link/below");
        assert!(found.len() == 1 && found[0].1.contains("lie in each other"), "{found:?}");
    }

    #[test]
    fn r46_a_disk_its_partition_and_its_controller_are_one() {
        let disk = Leads { block: Some(1), pci: vec!["0000:81:00.0".into()], ..Leads::default() };
        let leads = |real: &str, block, disk| Leads {
            real: real.into(),
            block: Some(block),
            disk,
            ..Leads::default()
        };
        let first = leads("/dev/sda1", 2, Some(1));
        let second = leads("/dev/sda2", 3, Some(1));
        assert!(same_device(&disk, &first).is_some_and(|why| why.contains("partition")));
        assert_eq!(same_device(&first, &second), None);
        assert!(same_device(&second, &second).is_some());
        assert!(behind_controller(&disk, "0000:81:00.0").is_some());
        assert_eq!(behind_controller(&disk, "0000:82:00.0"), None);
    }

    #[test]
    fn devices_behind_a_vmd_have_its_address_in_theirs() {
        let place = Path::new(
            "/sys/devices/pci0000:5d/0000:5d:05.5/pci10000:00/10000:00:02.0/10000:01:00.0/nvme/nvme0/nvme0n1",
        );
        assert_eq!(
            addresses_on_the_way(place),
            ["0000:5d:05.5", "5d0505:00:02.0", "5d0505:01:00.0"]
        );
        let device = Leads {
            pci: addresses_on_the_way(place),
            real: PathBuf::from("/dev/nvme0n1"),
            ..Leads::default()
        };
        assert!(behind_controller(&device, "5d0505:01:00.0").is_some());
        assert!(behind_controller(&device, "0000:5d:05.5").is_some());
        assert_eq!(behind_controller(&device, "0000:01:00.0"), None);
    }
}
