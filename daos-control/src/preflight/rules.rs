//! The rules by name: what has to hold, where that is read, which faults say that it does not, and whether a start refuses
//! without it. `docs/preflight.md` has this table, and a test compares them.

use crate::fault::code;

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Stable name.
    pub name: &'static str,
    /// What has to hold.
    pub holds: &'static str,
    /// Where it is read.
    pub read: &'static str,
    /// Numbers of the faults that say otherwise.
    pub codes: &'static [i32],
    /// `daos_server start` looks as well, and refuses what is an error.
    pub at_start: bool,
}

macro_rules! rules {
    ($($rule:ident $name:literal $start:literal [$($code:ident),*] $holds:literal, $read:literal;)*) => {
        /// A rule.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $(#[doc = $holds] $rule,)*
        }

        /// All rules in the order in which they are looked at.
        pub const ALL: &[Rule] = &[$(Rule::$rule,)*];

        impl Rule {
            /// Its row.
            #[must_use]
            pub const fn row(self) -> Row {
                match self {
                    $(Self::$rule => Row {
                        name: $name,
                        holds: $holds,
                        read: $read,
                        codes: &[$(code::$code),*],
                        at_start: $start,
                    },)*
                }
            }
        }
    };
}

rules! {
    Config "config" true []
        "The configuration follows every rule that needs no look at the host (`daos_server config check`)",
        "the file; the fault is that of the broken rule";
    ControlInterface "control-interface" true
        [SERVER_CONFIG_BAD_CONTROL_INTERFACE, SERVER_CONFIG_CONTROL_INTERFACE_MISMATCH]
        "`control_iface` has an IPv4 address, the one by which this host is listed as a replica",
        "`/sys/class/net`, getifaddrs";
    RamTiers "ram-tiers" true [SCM_RAMDISK_LOW_MEM, SERVER_CONFIG_RAMDISK_OVER_MAX_MEM]
        "Memory holds every RAM tier after huge pages, the system and the engines' own need",
        "`/proc/meminfo`";
    TransparentHugepages "transparent-hugepages" true [SERVER_TRANSPARENT_HUGEPAGE_ENABLED]
        "Transparent huge pages are off, or `allow_thp` is set",
        "`/sys/kernel/mm/transparent_hugepage/enabled`";
    Iommu "iommu" true [SERVER_IOMMU_DISABLED, SERVER_VFIO_DISABLED]
        "NVMe without root has an IOMMU, and `disable_vfio` is not set",
        "`/sys/class/iommu`";
    VfioModules "vfio-modules" true [HOST_KERNEL_MODULE]
        "The kernel has the drivers through which engines use NVMe; without root they are loaded",
        "`/sys/module`, `/sys/bus`, `/lib/modules`";
    Memlock "memlock" true [HOST_MEMLOCK]
        "Without root, the limit on locked memory is as large as what engines lock for NVMe",
        "getrlimit";
    Hugepages "hugepages" false [HOST_HUGEPAGES]
        "Every NUMA node of an engine has its share of the huge pages that engines need",
        "`/sys/devices/system/node/node*/meminfo`";
    HugepageCount "hugepage-count" true [HOST_HUGEPAGES]
        "`nr_hugepages` is as many as the targets need",
        "the configuration, `/proc/meminfo`";
    FabricInterface "fabric-interface" true [SERVER_BAD_CONFIG, SERVER_CONFIG_INVALID_NET_DEV_CLASS, NETWORK_PROVIDER_UNKNOWN]
        "Every engine's interface exists, has an IPv4 address and carries the provider; all are of one kind",
        "`/sys/class/net`, getifaddrs";
    NumaEngines "numa-engines" true [SERVER_CONFIG_ENGINE_NUMA_IMBALANCE, HOST_NUMA_PLACEMENT]
        "Engines are spread evenly over NUMA nodes, each at the node of its interface",
        "`/sys/class/net/*/device/numa_node`";
    SameDevice "same-device" true
        [SERVER_CONFIG_DUPLICATE_SCM_MOUNT, SERVER_CONFIG_DUPLICATE_SCM_DEVICE_LIST, SERVER_CONFIG_OVERLAPPING_BDEV_DEVICE_LIST, CONFIG_SAME_DEVICE]
        "Every device, mount and directory of the configuration is used once, under whatever names",
        "links, device numbers, `/sys/dev/block`";
    NumaDevices "numa-devices" false [HOST_NUMA_PLACEMENT]
        "SSDs and persistent memory are at the NUMA node of their engine",
        "`/sys/bus/pci/devices/*/numa_node`, `/sys/class/block/pmem*/device/numa_node`";
    Controllers "controllers" false
        [BDEV_NOT_FOUND, BDEV_IN_USE, SPDK_INVALID_CONFIGURATION, BDEV_CONFIG_FILE, BDEV_RECORD_BUSY]
        "Every configured NVMe controller is there, and the host itself does not use it",
        "`/sys/bus/pci/devices`, mounts, swap, holders";
    PmemDevices "pmem-devices" false [SCM_FORMAT_MISSING_DEVICE]
        "The configured persistent memory devices are there",
        "`/dev`";
    Storage "storage" false []
        "A format would take the configured storage, or did; with `--reformat` alone is a warning",
        "what `dmg storage format --dry-run` looks at; the fault is that of the format";
    VfioAccess "vfio-access" false [HOST_VFIO_ACCESS]
        "Without root, every configured controller is prepared and its VFIO group open to this user",
        "`/sys/bus/pci/devices/*/driver`, `/dev/vfio`";
    KernelModules "kernel-modules" false [HOST_KERNEL_MODULE]
        "The kernel has what class `dcpm` needs: the driver of persistent memory and ext4",
        "`/proc/filesystems`, `/sys/module`, `/sys/bus`, `/lib/modules`";
    EngineProgram "engine-program" true [ENGINE_PROGRAM_MISSING]
        "The program of the data plane is installed",
        "the directories of `PATH`, that of `daos_server`";
    Tools "tools" false [MISSING_SOFTWARE_DEPENDENCY, BAD_VERSION_SOFTWARE_DEPENDENCY, BLOCKDEV_TOOL_MISSING, HOST_TOOL]
        "`blkid`, `mkfs.ext4`, `ndctl` and `libipmctl.so.5` are there where the configured storage needs them, in usable versions",
        "the directories of `PATH` and of the system; `ndctl --version`; the library, loaded";
    Directories "directories" false [HOST_DIRECTORY]
        "Directories for state, sockets, logs and metadata exist where the server does not make them, and can be written",
        "access, statfs";
    DiskSpace "disk-space" false [HOST_DIRECTORY]
        "There is room for state, logs and metadata, and state is not in memory",
        "statfs";
    Clock "clock" false [HOST_CLOCK]
        "The clock is synchronised",
        "adjtimex";
    Ports "ports" false [CONTROL_PORT_IN_USE, HOST_FABRIC_PORT]
        "The control port and the first fabric port of each engine are free, or held by this server",
        "`/proc/net/tcp`, `/proc/net/tcp6`";
}

/// The table as the Markdown of `docs/preflight.md`.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "| Check | What has to hold | Read from | Faults | At start |\n|---|---|---|---|---|\n",
    );
    for rule in ALL {
        let Row { name, holds, read, codes, at_start } = rule.row();
        let codes: Vec<String> = codes.iter().map(ToString::to_string).collect();
        let start = if at_start { "yes" } else { "" };
        text.push_str(&format!(
            "| `{name}` | {holds} | {read} | {} | {start} |\n",
            codes.join(", ")
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{ALL, markdown};
    use crate::fault::table;

    #[test]
    fn names_are_unique_and_every_number_has_a_row() {
        let names: BTreeSet<_> = ALL.iter().map(|rule| rule.row().name).collect();
        assert_eq!(names.len(), ALL.len());
        for code in ALL.iter().flat_map(|rule| rule.row().codes) {
            assert!(table::find(*code).is_some(), "{code}");
        }
    }

    /// Set UPDATE_PREFLIGHT_DOC=1 to write the table anew.
    #[test]
    fn the_document_has_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/preflight.md");
        let document = std::fs::read_to_string(path).expect("docs/preflight.md");
        let (head, rest) = document.split_once("| Check |").expect("the table");
        let (old, tail) = rest.split_once("\n\n").expect("the end of the table");
        if std::env::var_os("UPDATE_PREFLIGHT_DOC").is_some() {
            std::fs::write(path, format!("{head}{}\n{tail}", markdown())).expect("written");
            return;
        }
        assert!(
            format!("| Check |{old}\n") == markdown(),
            "docs/preflight.md is stale: run with UPDATE_PREFLIGHT_DOC=1"
        );
    }
}
