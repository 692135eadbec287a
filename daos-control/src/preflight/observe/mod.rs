//! Looks at this host: sysfs, procfs, limits, programs, ports. Changes nothing and judges nothing.
//!
//! Where the kernel shows itself is a parameter, so that tests bring a tree of their own. What cannot be read counts as
//! absent, unless nothing could be said without it.

mod devices;
mod host;
mod modules;
mod places;
mod ports;
mod storage;
mod tools;

use std::path::{Path, PathBuf};

use daos_storage_nvme::BdevProvider;

use super::device_names::DeviceNames;
use super::facts::Facts;
use super::facts::HostFacts;
use super::keys::Asked;
use super::sys;
use crate::fault::{Fault, code};
use crate::scan::memory;
pub(super) use storage::foreseen;

/// Where the kernel shows itself, and where programs are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// `/sys`.
    pub sys: PathBuf,
    /// `/proc`.
    pub proc: PathBuf,
    /// `/dev`.
    pub dev: PathBuf,
    /// `/lib/modules`.
    pub modules: PathBuf,
    /// Directories of programs, in the order in which they are searched.
    pub programs: Vec<PathBuf>,
}

impl Default for Roots {
    /// Those of this host; programs from `PATH` and then from the system's directories.
    fn default() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let system = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from);
        Self {
            sys: "/sys".into(),
            proc: "/proc".into(),
            dev: "/dev".into(),
            modules: "/lib/modules".into(),
            programs: std::env::split_paths(&path).chain(system).collect(),
        }
    }
}

/// Looks at everything but the storage that is to be formatted. `state_dir` is where state lies when no configuration says so.
///
/// # Errors
/// When memory or network cannot be read at all.
pub async fn observe(
    roots: &Roots,
    bdev: &dyn BdevProvider,
    asked: Option<Asked<'_>>,
    state_dir: &Path,
) -> Result<Facts, Fault> {
    let controllers = devices::controllers(bdev).await;
    let tools = tools::find(roots).await;
    let (places, ports) = (places::wanted(asked, state_dir), ports::wanted(asked));
    let scm_devices = devices::configured_scm(asked);
    let with_engines = asked.filter(|asked| !asked.config.engines.is_empty());
    let plane = with_engines.map(|asked| asked.config.data_plane);
    let config = asked.map(|asked| asked.config.clone());
    let roots = roots.clone();
    // The search for who holds a port may go through every process of the host, and a path may lead to a mount that does not answer.
    let looked = tokio::task::spawn_blocking(move || {
        let devices = config.as_ref().map(DeviceNames::observe).unwrap_or_default();
        let host = HostFacts { devices, ..HostFacts::observe_at(&roots).map_err(unreadable)? };
        let nodes = memory::nodes_at(&roots.sys.join("devices/system/node"));
        let ports = ports.iter().map(|wanted| ports::look(wanted, &host.network)).collect();
        Ok(Facts {
            host,
            nodes,
            controllers,
            pmem: devices::pmem(&roots),
            scm_devices: scm_devices
                .into_iter()
                .map(|device| {
                    let there = device.exists();
                    (device, there)
                })
                .collect(),
            storage: Ok(Vec::new()),
            engine_program: plane.map(tools::engine_program),
            tools,
            places: places.into_iter().map(places::look).collect(),
            clock: sys::clock().map_err(|error| error.to_string()),
            ports,
        })
    });
    looked.await.unwrap_or_else(|broken| Err(unreadable(std::io::Error::other(broken))))
}

fn unreadable(error: std::io::Error) -> Fault {
    Fault::new(
        "storage",
        code::MEMORY_UNREADABLE,
        "this host cannot be looked at",
        "see that /proc and /sys are mounted and readable for the user of daos_server",
    )
    .with_reason(error)
}

/// The text of a file of the kernel without blanks around it; `None` when it cannot be read or is empty.
fn text(path: &Path) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

/// A NUMA node as sysfs writes it: -1 where the host does not tell.
fn numa_node(device: &Path) -> Option<u32> {
    text(&device.join("numa_node"))?.parse().ok()
}

/// The names in a directory, ascending; none where it cannot be read.
fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}
