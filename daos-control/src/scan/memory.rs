//! Memory and hugepages of the host and of each NUMA node (contract 7.5 `sys_mem_info`). Changes nothing.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;

use procfs::FromBufRead;

use crate::fault::{Fault, code};

/// Memory of a host. Sizes are in KiB, as the kernel counts; hugepages are numbers of pages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SystemMemory {
    /// Hugepages of the default size.
    pub hugepages_total: u64,
    /// Of these, unused.
    pub hugepages_free: u64,
    /// Promised to somebody, not used yet.
    pub hugepages_reserved: u64,
    /// Beyond the number that was asked for.
    pub hugepages_surplus: u64,
    /// Size of one.
    pub hugepage_size_kib: u32,
    /// All memory.
    pub total_kib: u64,
    /// Unused memory.
    pub free_kib: u64,
    /// What could be used without swapping.
    pub available_kib: u64,
    /// The same by NUMA node, ascending; empty when the kernel does not tell.
    pub nodes: Vec<NodeMemory>,
}

impl SystemMemory {
    /// Huge pages of a node; of the whole host where the kernel knows no nodes. `None` for a node that is not there.
    #[must_use]
    pub fn hugepages_of(&self, node: u32) -> Option<u64> {
        if self.nodes.is_empty() && node == 0 {
            return Some(self.hugepages_total);
        }
        self.nodes.iter().find(|found| found.node == node).map(|found| found.hugepages_total)
    }

    /// The nodes that can have huge pages: those with memory, or 0 where the kernel knows no nodes.
    #[must_use]
    pub fn nodes_with_memory(&self) -> Vec<u32> {
        let nodes: Vec<u32> =
            self.nodes.iter().filter(|node| node.total_kib > 0).map(|node| node.node).collect();
        if nodes.is_empty() { vec![0] } else { nodes }
    }
}

/// Memory of one NUMA node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NodeMemory {
    /// Number of the node.
    pub node: u32,
    /// Hugepages of the default size.
    pub hugepages_total: u64,
    /// Of these, unused.
    pub hugepages_free: u64,
    /// Beyond the number that was asked for.
    pub hugepages_surplus: u64,
    /// All memory.
    pub total_kib: u64,
    /// Unused memory.
    pub free_kib: u64,
    /// Used memory.
    pub used_kib: u64,
}

/// Looks at this host.
///
/// # Errors
/// Fault 1364 when `/proc/meminfo` cannot be read.
pub fn observe() -> Result<SystemMemory, Fault> {
    observe_at(Path::new("/proc/meminfo"), Path::new("/sys/devices/system/node"))
}

fn observe_at(meminfo: &Path, nodes: &Path) -> Result<SystemMemory, Fault> {
    let unreadable = |reason: String| {
        Fault::new(
            "storage",
            code::MEMORY_UNREADABLE,
            format!("cannot read {}", meminfo.display()),
            "see that /proc is mounted and readable for the user of daos_server",
        )
        .with_reason(reason)
    };
    let file = fs::File::open(meminfo).map_err(|error| unreadable(error.to_string()))?;
    let found = procfs::Meminfo::from_buf_read(BufReader::new(file))
        .map_err(|error| unreadable(error.to_string()))?;
    Ok(SystemMemory {
        hugepages_total: found.hugepages_total.unwrap_or(0),
        hugepages_free: found.hugepages_free.unwrap_or(0),
        hugepages_reserved: found.hugepages_rsvd.unwrap_or(0),
        hugepages_surplus: found.hugepages_surp.unwrap_or(0),
        hugepage_size_kib: found
            .hugepagesize
            .and_then(|size| (size / 1024).try_into().ok())
            .unwrap_or(0),
        total_kib: found.mem_total / 1024,
        free_kib: found.mem_free / 1024,
        available_kib: found.mem_available.unwrap_or(found.mem_free) / 1024,
        nodes: nodes_at(nodes),
    })
}

/// The nodes of a directory laid out like `/sys/devices/system/node`, ascending; none where it cannot be read.
pub(crate) fn nodes_at(dir: &Path) -> Vec<NodeMemory> {
    let mut nodes: Vec<NodeMemory> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let node = name.strip_prefix("node")?.parse().ok()?;
            let file = fs::File::open(entry.path().join("meminfo")).ok()?;
            Some(read_node(node, BufReader::new(file)))
        })
        .collect();
    nodes.sort_by_key(|node| node.node);
    nodes
}

/// Lines are `Node 0 MemTotal:  123 kB`; what is not known is passed over.
fn read_node(node: u32, lines: impl BufRead) -> NodeMemory {
    let mut memory = NodeMemory { node, ..NodeMemory::default() };
    for line in lines.lines().map_while(Result::ok) {
        let mut words = line.split_whitespace().skip(2);
        let (Some(key), Some(Ok(value))) = (words.next(), words.next().map(str::parse::<u64>))
        else {
            continue;
        };
        match key {
            "MemTotal:" => memory.total_kib = value,
            "MemFree:" => memory.free_kib = value,
            "MemUsed:" => memory.used_kib = value,
            "HugePages_Total:" => memory.hugepages_total = value,
            "HugePages_Free:" => memory.hugepages_free = value,
            "HugePages_Surp:" => memory.hugepages_surplus = value,
            _ => {}
        }
    }
    memory
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{NodeMemory, observe, observe_at};

    #[test]
    fn reads_host_and_nodes() {
        let dir = tempfile::tempdir().expect("directory");
        let meminfo = dir.path().join("meminfo");
        let base = fs::read_to_string("/proc/meminfo").expect("this host's");
        let other: String = base
            .lines()
            .filter(|l| {
                !l.starts_with("HugePages_")
                    && !l.starts_with("Hugepagesize")
                    && !l.starts_with("MemTotal")
            })
            .map(|line| format!("{line}\n"))
            .collect();
        let text = format!(
            "MemTotal: 4096 kB\n{other}HugePages_Total: 7\nHugePages_Free: 3\nHugePages_Rsvd: 2\nHugePages_Surp: 1\nHugepagesize: 2048 kB\n"
        );
        fs::write(&meminfo, text).expect("file");
        for (node, total) in [(10, 5), (2, 9)] {
            let path = dir.path().join(format!("nodes/node{node}"));
            fs::create_dir_all(&path).expect("node");
            let text = format!(
                "Node {node} MemTotal:  {total} kB\nNode {node} MemFree: 2 kB\nNode {node} MemUsed: 1 kB\nNode {node} HugePages_Total: 4\nNode {node} HugePages_Free: 3\nNode {node} HugePages_Surp: 2\nnonsense\nNode x MemTotal: -\n"
            );
            fs::write(path.join("meminfo"), text).expect("file");
        }
        fs::create_dir_all(dir.path().join("nodes/possible")).expect("no node");
        let memory = observe_at(&meminfo, &dir.path().join("nodes")).expect("memory");
        assert_eq!((memory.total_kib, memory.hugepage_size_kib), (4096, 2048));
        assert_eq!(
            (
                memory.hugepages_total,
                memory.hugepages_free,
                memory.hugepages_reserved,
                memory.hugepages_surplus
            ),
            (7, 3, 2, 1)
        );
        let node = |node, total_kib| NodeMemory {
            node,
            hugepages_total: 4,
            hugepages_free: 3,
            hugepages_surplus: 2,
            total_kib,
            free_kib: 2,
            used_kib: 1,
        };
        assert_eq!(memory.nodes, [node(2, 9), node(10, 5)]);
    }

    #[test]
    fn this_host_has_memory_and_a_missing_file_is_named() {
        let memory = observe().expect("memory");
        assert!(memory.total_kib >= memory.available_kib && memory.available_kib > 0);
        let fault =
            observe_at(Path::new("/nope/meminfo"), Path::new("/nope")).expect_err("missing");
        assert_eq!(fault.code, 1364);
        assert!(fault.description.contains("/nope/meminfo"));
    }
}
