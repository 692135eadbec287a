//! What the kernel says of this host's network interfaces and NUMA nodes. Changes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use super::error::NetworkError;
use super::sys;

/// Kind of link, by the kernel's ARPHRD number (contract 2.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NetDevClass(
    /// The number.
    pub u32,
);

impl NetDevClass {
    /// Ethernet.
    pub const ETHER: Self = Self(1);
    /// InfiniBand.
    pub const INFINIBAND: Self = Self(32);
    /// The host itself.
    pub const LOOPBACK: Self = Self(772);
}

/// One network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Name, e.g. `eth0`.
    pub name: String,
    /// Kind of link.
    pub class: NetDevClass,
    /// NUMA node of the device, 0 where the kernel names none.
    pub numa_node: u32,
    /// Whether it is switched on.
    pub up: bool,
    /// IPv4 addresses, ascending.
    pub addresses: Vec<Ipv4Addr>,
    /// RDMA device behind it, e.g. `mlx5_0`.
    pub rdma_device: Option<String>,
}

/// The network of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Interfaces by name.
    pub interfaces: Vec<Interface>,
    /// Number of NUMA nodes, at least 1.
    pub numa_nodes: u32,
    /// Physical cores of node 0.
    pub cores_per_numa: u32,
}

impl Network {
    /// The interface of that name.
    #[must_use]
    pub fn interface(&self, name: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.name == name)
    }
}

/// Looks at this host.
///
/// # Errors
/// [`NetworkError`] when the kernel's directories or the addresses cannot be read.
pub fn observe() -> Result<Network, NetworkError> {
    let addresses = sys::addresses().map_err(|source| NetworkError::Addresses { source })?;
    let mut network = observe_at(Path::new("/sys"))?;
    for interface in &mut network.interfaces {
        interface.addresses = addresses.get(&interface.name).cloned().unwrap_or_default();
    }
    Ok(network)
}

/// Looks at a tree that is laid out like `/sys`; addresses stay empty.
///
/// # Errors
/// [`NetworkError::Unreadable`] when there is no directory of interfaces.
pub fn observe_at(sys: &Path) -> Result<Network, NetworkError> {
    let root = sys.join("class/net");
    let mut interfaces = Vec::new();
    for name in names(&root)? {
        // An interface that vanishes meanwhile is simply not there.
        interfaces.extend(interface(&root.join(&name), name));
    }
    let nodes = sys.join("devices/system/node");
    let numa_nodes = names(&nodes).unwrap_or_default().iter().filter(|name| is_node(name)).count();
    Ok(Network {
        interfaces,
        numa_nodes: u32::try_from(numa_nodes.max(1)).unwrap_or(1),
        cores_per_numa: cores(sys),
    })
}

fn is_node(name: &str) -> bool {
    name.strip_prefix("node").is_some_and(|digits| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn interface(path: &Path, name: String) -> Option<Interface> {
    let class = NetDevClass(text(&path.join("type"))?.parse().ok()?);
    let flags = text(&path.join("flags")).unwrap_or_default();
    let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16).unwrap_or(0);
    let device = device_of(path);
    Some(Interface {
        name,
        class,
        numa_node: device.as_deref().and_then(numa_node).unwrap_or(0),
        up: flags & 1 != 0,
        addresses: Vec::new(),
        rdma_device: device.as_deref().and_then(rdma_device),
    })
}

/// The device behind an interface; a bond, bridge or VLAN has that of the first interface beneath it.
fn device_of(path: &Path) -> Option<PathBuf> {
    let own = path.join("device");
    if own.exists() {
        return Some(own);
    }
    let lower = names(path).ok()?.into_iter().find(|name| name.starts_with("lower_"))?;
    let below = path.join(lower).join("device");
    below.exists().then_some(below)
}

fn numa_node(device: &Path) -> Option<u32> {
    text(&device.join("numa_node"))?.parse().ok()
}

fn rdma_device(device: &Path) -> Option<String> {
    names(&device.join("infiniband")).ok()?.into_iter().next()
}

/// Physical cores of node 0; 0 when the kernel does not say.
fn cores(sys: &Path) -> u32 {
    let cpus = sys.join("devices/system/node/node0");
    let cpus = if cpus.exists() { cpus } else { sys.join("devices/system/cpu") };
    let mut cores = BTreeSet::new();
    for name in names(&cpus).unwrap_or_default() {
        let Some(number) = name.strip_prefix("cpu") else { continue };
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let topology = cpus.join(&name).join("topology");
        let package = text(&topology.join("physical_package_id")).unwrap_or_default();
        let core = text(&topology.join("core_id")).unwrap_or_else(|| number.to_owned());
        cores.insert((package, core));
    }
    u32::try_from(cores.len()).unwrap_or(u32::MAX)
}

fn names(dir: &Path) -> Result<Vec<String>, NetworkError> {
    let read = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    };
    read().map_err(|source| NetworkError::Unreadable { path: dir.to_owned(), source })
}

fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}
