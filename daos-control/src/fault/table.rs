//! Every fault number with its name, domain and meaning. `docs/faults.md` is this table, and a test compares them.
//!
//! Up to 1199 the numbers are those of contract 10.2, which clients test; from 1200 on they are ours. A number is
//! never reused. Used by everything that raises a fault; knows nothing but the numbers.

/// One line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The number that travels and that clients test.
    pub code: i32,
    /// Name of its constant in [`code`].
    pub name: &'static str,
    /// Area that raises it.
    pub domain: &'static str,
    /// What it means, in one line.
    pub meaning: &'static str,
}

macro_rules! faults {
    ($($number:literal $name:ident $domain:literal $meaning:literal)*) => {
        /// The numbers by name.
        pub mod code {
            $(#[doc = concat!("`", $domain, "`: ", $meaning)] pub const $name: i32 = $number;)*
        }
        /// All numbers in ascending order.
        pub const TABLE: &[Row] = &[
            $(Row { code: $number, name: stringify!($name), domain: $domain, meaning: $meaning },)*
        ];
    };
}

/// The line of a number, if it is one of ours or of the contract.
#[must_use]
pub fn find(code: i32) -> Option<&'static Row> {
    TABLE.binary_search_by_key(&code, |row| row.code).ok().and_then(|index| TABLE.get(index))
}

/// The whole table as the Markdown of `docs/faults.md`.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "# Faults\n\nEvery error an administrator can meet carries one of these numbers. Up to 1199 they are those of DAOS 2.8;\nfrom 1200 on they are ours. What to do about an error is printed with it, on the line `resolution = ...`.\n\n\
         | code | name | domain | meaning |\n|---|---|---|---|\n",
    );
    for row in TABLE {
        text.push_str(&format!(
            "| {} | {} | {} | {} |\n",
            row.code, row.name, row.domain, row.meaning
        ));
    }
    text
}

faults! {
    0 UNKNOWN "unknown" "nothing more is known"
    1 MISSING_SOFTWARE_DEPENDENCY "scm" "the tool that manages persistent memory is not installed"
    2 BAD_VERSION_SOFTWARE_DEPENDENCY "scm" "an installed tool is of a version that cannot be used"
    3 PRIVILEGED_HELPER_NOT_PRIVILEGED "pbin" "the privileged helper runs without the rights it needs"
    4 PRIVILEGED_HELPER_NOT_AVAILABLE "pbin" "the privileged helper was not found"
    5 PRIVILEGED_HELPER_REQUEST_FAILED "pbin" "the privileged helper could not do what was asked"
    6 SOCKET_FILE_IN_USE "drpc" "another process answers on the dRPC socket"
    100 STORAGE_UNKNOWN "storage" "storage failed for a reason that has no number of its own"
    101 STORAGE_ALREADY_FORMATTED "scm" "the storage is formatted already and reformat was not asked for"
    102 STORAGE_FILESYSTEM_ALREADY_MOUNTED "storage" "the file system is mounted already"
    103 STORAGE_DEVICE_ALREADY_MOUNTED "scm" "the device is mounted already"
    104 STORAGE_TARGET_ALREADY_MOUNTED "storage" "something is mounted on the mount point already"
    105 STORAGE_PATH_ACCESS_DENIED "storage" "a path cannot be used with the rights of the server"
    106 STORAGE_DEVICE_WITH_FS_NO_MOUNTPOINT "storage" "the device has a file system but its mount point does not exist"
    107 STORAGE_HUGEPAGES_DISABLED "storage" "the operation needs hugepages, which the configuration switches off"
    200 SCM_UNKNOWN "scm" "persistent memory failed for a reason that has no number of its own"
    201 SCM_FORMAT_INVALID_SIZE "scm" "the size of the RAM disk is not usable"
    202 SCM_FORMAT_INVALID_DEVICE_COUNT "scm" "class dcpm takes exactly one device"
    203 SCM_FORMAT_MISSING_MOUNTPOINT "scm" "no mount point is given"
    204 SCM_FORMAT_MISSING_DEVICE "scm" "the persistent memory device does not exist"
    205 SCM_FORMAT_MISSING_PARAM "scm" "neither RAM nor persistent memory is described"
    206 SCM_FORMAT_CONFLICTING_PARAM "scm" "both RAM and persistent memory are described"
    207 SCM_PATH_ACCESS_DENIED "scm" "a path of persistent memory cannot be used"
    208 SCM_DISCOVERY_FAILED "scm" "the memory modules cannot be listed"
    209 SCM_DUPLICATES_IN_DEVICE_LIST "scm" "a device is listed twice"
    210 SCM_NO_DEVICES_MATCH_FILTER "scm" "no device is among those listed"
    211 SCM_NO_PMEM "storage" "the host has no persistent memory"
    212 SCM_BAD_REGION "storage" "a region of persistent memory is in a state that cannot be used"
    213 SCM_INVALID_PMEM "storage" "persistent memory is in a state that cannot be used"
    214 SCM_RAMDISK_LOW_MEM "storage" "there is not enough memory for the RAM disk"
    215 SCM_RAMDISK_BAD_SIZE "storage" "the mounted RAM disk is larger than configured"
    216 SCM_CONFIG_TIER_MISSING "storage" "an engine has no SCM tier"
    300 BDEV_UNKNOWN "bdev" "a block device failed for a reason that has no number of its own"
    301 BDEV_FORMAT_UNKNOWN_CLASS "bdev" "the class of block device is unknown"
    302 BDEV_FORMAT_FAILURE "bdev" "a block device could not be formatted"
    303 BDEV_BAD_PCI_ADDRESS "bdev" "a PCI address is malformed"
    304 BDEV_NOT_FOUND "storage" "a configured block device does not exist"
    305 BDEV_DUPLICATES_IN_DEVICE_LIST "bdev" "a block device is listed twice"
    306 BDEV_NO_DEVICES_MATCH_FILTER "bdev" "no block device is among those listed"
    307 BDEV_ACCEL_ENGINE_UNKNOWN "storage" "the acceleration engine is unknown"
    308 BDEV_CONFIG_OPT_FLAG_UNKNOWN "storage" "a role or option of a block device tier is unknown"
    309 BDEV_CONFIG_TIER_TYPE_MISMATCH "storage" "real and emulated block devices are mixed"
    310 BDEV_NON_ROOT_VFIO_DISABLE "storage" "without root, NVMe needs VFIO"
    311 BDEV_NO_IOMMU "storage" "NVMe without root needs an IOMMU"
    312 BDEV_CONFIG_ROLES_WITH_DCPM "storage" "roles cannot be used with class dcpm"
    313 BDEV_CONFIG_ROLES_BAD_NR "storage" "each role must be given to exactly one tier"
    314 BDEV_CONFIG_ROLES_MISSING "storage" "some tiers have roles and others do not"
    315 BDEV_CONFIG_MULTI_TIER_WITHOUT_ROLES "storage" "several block device tiers need roles"
    316 BDEV_CONFIG_BAD_NR_TIERS_WITH_ROLES "storage" "at most three tiers can have roles"
    317 BDEV_CONFIG_CONTROL_METADATA_NO_ROLES "storage" "control metadata on disk needs a tier with the meta role"
    318 BDEV_CONFIG_ROLES_NO_CONTROL_METADATA "storage" "roles need a path for control metadata"
    319 BDEV_CONFIG_ROLES_WAL_DATA_NO_META "storage" "wal and data on one tier need meta there too"
    400 SYSTEM_UNKNOWN "system" "the system failed for a reason that has no number of its own"
    401 SYSTEM_BAD_FAULT_DOMAIN_DEPTH "system" "a fault domain has a different number of levels than those of the members"
    402 SYSTEM_POOL_LOCKED "system" "another operation holds the pool; try again"
    403 SYSTEM_JOIN_REPLACE_RANK_NOT_FOUND "system" "no member matches the engine that is to replace it"
    500 CLIENT_UNKNOWN "client" "the client failed for a reason that has no number of its own"
    501 CLIENT_CONFIG_BAD_CONTROL_PORT "client" "the control port is not usable"
    502 CLIENT_CONFIG_BAD_ACCESS_POINTS "client" "the list of access points is not usable"
    503 CLIENT_CONFIG_EMPTY_HOST_LIST "client" "no host is named"
    504 CLIENT_CONNECTION_BAD_HOST "client" "a host name does not resolve"
    505 CLIENT_CONNECTION_NO_ROUTE "client" "there is no route to the host"
    506 CLIENT_CONNECTION_REFUSED "client" "nothing listens on that port of the host"
    507 CLIENT_CONNECTION_CLOSED "client" "the host closed the connection"
    508 CLIENT_CONNECTION_TIMED_OUT "client" "the host did not answer in time"
    509 CLIENT_FORMAT_RUNNING_SYSTEM "client" "a running system cannot be formatted"
    510 CLIENT_RPC_TIMEOUT "client" "the request was not finished in time"
    511 CLIENT_CONFIG_VMD_IMBALANCE "client" "VMD devices are spread unevenly, so no configuration can be made"
    600 SERVER_UNKNOWN "server" "the server failed for a reason that has no number of its own"
    601 SERVER_SCM_UNMANAGED "server" "the server may not manage that mount point"
    602 SERVER_IOMMU_DISABLED "server" "NVMe without root needs an IOMMU that is switched on"
    603 SERVER_WRONG_SYSTEM "server" "the request is for a system of another name"
    604 SERVER_POOL_SCM_TOO_SMALL "server" "a pool needs at least 16 MiB of SCM per target"
    605 SERVER_POOL_NVME_TOO_SMALL "server" "a pool needs at least 1 GiB of NVMe per target"
    606 SERVER_POOL_INVALID_RANKS "server" "ranks were named that are unknown or not available"
    607 SERVER_POOL_INVALID_NUM_RANKS "server" "more ranks were asked for than there are"
    608 SERVER_POOL_INVALID_SERVICE_REPS "server" "the number of pool service replicas is not possible"
    609 SERVER_POOL_DUPLICATE_LABEL "server" "the label belongs to another pool"
    610 SERVER_HARNESS_NOT_STARTED "server" "the engines are not managed yet"
    611 SERVER_DATA_PLANE_NOT_STARTED "server" "the engine is not running; try again once it is"
    612 SERVER_INSTANCES_NOT_STOPPED "server" "a rank is running that must be stopped first"
    613 SERVER_CONFIG_INVALID_NET_DEV_CLASS "serverconfig" "the engines' interfaces are of different kinds"
    614 SERVER_VFIO_DISABLED "server" "NVMe without root needs VFIO, which the configuration switches off"
    615 SERVER_POOL_NO_LABEL "server" "a pool needs a label"
    616 SERVER_INCOMPATIBLE_COMPONENTS "server" "the caller's version does not work with this server"
    617 SERVER_NO_COMPATIBILITY_INSECURE "server" "without certificates a caller that does not say its version must have the server's own"
    618 SERVER_POOL_HAS_CONTAINERS "server" "the pool has containers and recursive was not asked for"
    619 SERVER_POOL_MEM_RATIO_NO_ROLES "server" "a memory ratio needs metadata on SSD"
    620 SERVER_BAD_FAULT_DOMAIN_LABELS "server" "the labels of a fault domain differ from those of the members"
    621 SERVER_JOIN_REPLACE_ENABLED_POOL_RANK "server" "the rank to be replaced is still in use by a pool"
    622 SERVER_RANK_ADMIN_EXCLUDED "server" "a rank was named that an administrator has excluded"
    623 SERVER_TRANSPARENT_HUGEPAGE_ENABLED "server" "transparent hugepages are on"
    700 SERVER_CONFIG_UNKNOWN "serverconfig" "the configuration is wrong in a way that has no number of its own"
    701 SERVER_BAD_CONFIG "serverconfig" "the configuration is not valid"
    702 SERVER_NO_CONFIG_PATH "serverconfig" "no configuration file is named"
    703 SERVER_CONFIG_BAD_CONTROL_PORT "serverconfig" "the control port is not usable"
    704 SERVER_CONFIG_BAD_TELEMETRY_PORT "serverconfig" "the telemetry port is not usable"
    705 SERVER_CONFIG_BAD_MGMT_SVC_REPLICAS "serverconfig" "the list of management service replicas is not usable"
    706 SERVER_CONFIG_EVEN_MGMT_SVC_REPLICAS "serverconfig" "the number of replicas must be odd"
    707 SERVER_CONFIG_BAD_PROVIDER "serverconfig" "no fabric provider is set"
    708 SERVER_CONFIG_NO_ENGINES "serverconfig" "no engine is described"
    709 SERVER_CONFIG_DUPLICATE_FABRIC "serverconfig" "two engines use one interface and port"
    710 SERVER_CONFIG_DUPLICATE_LOG_FILE "serverconfig" "two engines write one log file"
    711 SERVER_CONFIG_DUPLICATE_SCM_MOUNT "serverconfig" "two engines use one SCM mount point"
    712 SERVER_CONFIG_DUPLICATE_SCM_DEVICE_LIST "serverconfig" "two engines use one SCM device"
    713 SERVER_CONFIG_OVERLAPPING_BDEV_DEVICE_LIST "serverconfig" "two engines use one block device"
    714 SERVER_CONFIG_BDEV_COUNT_MISMATCH "serverconfig" "engines have different numbers of block devices"
    715 SERVER_CONFIG_TARGET_COUNT_MISMATCH "serverconfig" "engines have different numbers of targets"
    716 SERVER_CONFIG_HELPER_STREAM_COUNT_MISMATCH "serverconfig" "engines have different numbers of helper threads"
    717 SERVER_CONFIG_FAULT_DOMAIN_INVALID "serverconfig" "a fault domain path is malformed"
    718 SERVER_CONFIG_FAULT_CALLBACK_NOT_FOUND "serverconfig" "the fault domain script does not exist"
    719 SERVER_CONFIG_FAULT_CALLBACK_INSECURE "serverconfig" "the fault domain script could be changed by others"
    720 SERVER_CONFIG_FAULT_CALLBACK_BAD_PERMS "serverconfig" "the fault domain script cannot be executed"
    721 SERVER_CONFIG_FAULT_CALLBACK_FAILED "serverconfig" "the fault domain script failed"
    722 SERVER_CONFIG_BOTH_FAULT_PATH_AND_CB "serverconfig" "a fault domain path and a script are both set"
    723 SERVER_CONFIG_FAULT_CALLBACK_EMPTY "serverconfig" "the fault domain script printed nothing"
    724 SERVER_CONFIG_FAULT_DOMAIN_TOO_MANY_LAYERS "serverconfig" "a fault domain has more than two levels"
    725 SERVER_CONFIG_NR_HUGEPAGES_OUT_OF_RANGE "serverconfig" "the number of hugepages is out of range"
    726 SERVER_CONFIG_HUGEPAGES_DISABLED_WITH_NVME_BDEVS "serverconfig" "NVMe needs hugepages, which are switched off"
    727 SERVER_CONFIG_VMD_SETTING_DUPLICATE "serverconfig" "VMD is set twice"
    728 SERVER_CONFIG_ENGINE_NUMA_IMBALANCE "serverconfig" "the engines are spread unevenly over NUMA nodes"
    729 SERVER_CONFIG_CONTROL_METADATA_NO_PATH "serverconfig" "a device for control metadata is set without a path"
    730 SERVER_CONFIG_RAMDISK_UNDER_MIN_MEM "storage" "the RAM disk is smaller than an engine can use"
    731 SERVER_CONFIG_RAMDISK_OVER_MAX_MEM "serverconfig" "the RAM disk is larger than memory allows"
    732 SERVER_CONFIG_SCM_DIFF_CLASS "serverconfig" "engines use different classes of SCM"
    733 SERVER_CONFIG_ENGINE_BDEV_ROLES_MISMATCH "serverconfig" "roles are set on some engines only"
    734 SERVER_CONFIG_SYS_RSVD_ZERO "serverconfig" "no memory is reserved for the rest of the host"
    735 SERVER_CONFIG_ENABLE_HOTPLUG_DEPRECATED "serverconfig" "both hotplug keys are set"
    736 SERVER_CONFIG_BDEV_EXCLUDE_CLASH "serverconfig" "a block device is both used and excluded"
    737 SERVER_CONFIG_HUGEPAGES_DISABLED_WITH_NR_SET "serverconfig" "hugepages are switched off and a number of them is set"
    738 SERVER_CONFIG_SCM_HUGE_ENABLED "serverconfig" "engines disagree on hugepages for the RAM disk"
    739 SERVER_CONFIG_BAD_CONTROL_INTERFACE "serverconfig" "the control interface is not usable"
    740 SERVER_CONFIG_CONTROL_INTERFACE_MISMATCH "serverconfig" "the control interface and the replica address differ"
    800 SPDK_UNKNOWN "spdk" "SPDK failed for a reason that has no number of its own"
    801 SPDK_CTRLR_NO_HEALTH "spdk" "a controller gives no health data"
    802 SPDK_BINDING_RET_NULL "spdk" "SPDK gave no result"
    803 SPDK_BINDING_FAILED "spdk" "SPDK reported an error"
    804 SPDK_INVALID_CONFIGURATION "storage" "the engine's device configuration cannot be read"
    900 SECURITY_UNKNOWN "security" "security failed for a reason that has no number of its own"
    901 SECURITY_MISSING_CERT_FILE "security" "a certificate file does not exist"
    902 SECURITY_UNREADABLE_CERT_FILE "security" "a certificate file cannot be read or is open to others"
    903 SECURITY_INVALID_CERT "security" "a certificate is invalid or has expired"
    1000 CONTROL_METADATA_UNKNOWN "controlmetadata" "control metadata failed for a reason that has no number of its own"
    1001 CONTROL_METADATA_BAD_FILESYSTEM "controlmetadata" "control metadata cannot live on a network or nosuid file system"
    1100 SYSTEM_CHECKER_UNKNOWN "checker" "the checker failed for a reason that has no number of its own"
    1101 SYSTEM_CHECKER_INVALID_MEMBER_STATES "checker" "members are in a state the checker cannot work with"
    1102 SYSTEM_CHECKER_NOT_ENABLED "checker" "the checker is not enabled"
    1103 SYSTEM_CHECKER_ENABLED "checker" "the checker is enabled, so nothing else can run"
    1200 SCM_BUSY "scm" "processes still use the file system, so it is not unmounted"
    1201 SCM_IN_USE "scm" "something else uses the device"
    1202 SCM_ERASE_INTERRUPTED "scm" "an earlier format did not finish erasing"
    1203 SCM_HOLDS_CONTENT "scm" "the mount point holds files that are not known to be ours"
    1204 SCM_ENGINE_RUNNING "scm" "the engine of this storage runs"
    1205 SCM_MAY_NOT_MOUNT "scm" "the server may not mount"
    1206 SCM_UNSUITABLE_PATH "scm" "the mount point cannot hold what is configured"
    1207 SCM_PLAN_CHANGED "scm" "what was planned no longer fits what is there"
    1208 SCM_NO_DAX "scm" "the device has no direct access"
    1209 SCM_NOT_A_BLOCK_DEVICE "scm" "the configured SCM device is something else"
    1210 SCM_COMMAND_FAILED "scm" "a program failed"
    1211 SCM_READ_BACK "scm" "what was set up reads back differently"
    1212 SCM_UNSUPPORTED "scm" "this kind of SCM has no such operation"
    1213 SCM_NOT_FORMATTED "scm" "the storage was never formatted"
    1214 SCM_SYSTEM "scm" "a system call failed"
    1215 BLOCKDEV_NOT_FOUND "blockdev" "nothing is at the path of the device"
    1216 BLOCKDEV_NOT_A_BLOCK_DEVICE "blockdev" "the path is not a block device"
    1217 BLOCKDEV_ACCESS_DENIED "blockdev" "the server may not open the device"
    1218 BLOCKDEV_TOOL_MISSING "blockdev" "the program that recognises signatures is not installed"
    1219 BLOCKDEV_TOOL_FAILED "blockdev" "the program that recognises signatures failed"
    1220 BLOCKDEV_BUSY "blockdev" "somebody else holds the device"
    1221 BLOCKDEV_IDENTITY_CHANGED "blockdev" "the device is not the one that was planned for"
    1222 BLOCKDEV_IO "blockdev" "reading or writing the device failed"
    1223 BLOCKDEV_ERASE_NOT_PROVEN "blockdev" "the device was erased but reads back otherwise"
    1224 BLOCKDEV_UNREADABLE "blockdev" "a file of the kernel about the device is not understood"
    1240 FORMAT_BUSY "storage" "another storage format is running on the host"
    1241 FORMAT_PLAN_CHANGED "storage" "the storage changed since the plan was shown"
    1242 FORMAT_JOURNAL_UNWRITABLE "storage" "the mark of a running format cannot be made durable, so nothing is formatted"
    1243 FORMAT_STATE_UNKNOWN "storage" "an earlier format did not end, so the state of the storage is unknown"
    1244 SUPERBLOCK_UNREADABLE "storage" "a superblock exists but cannot be used"
    1245 SUPERBLOCK_UNWRITABLE "storage" "a superblock cannot be written durably"
    1246 FORMAT_ENGINE_RUNNING "storage" "the storage of a running engine is not formatted"
    1247 SCM_MOUNT_MISSING "storage" "nothing is mounted at the SCM mount point and the server may not mount"
    1248 SCM_MOUNT_NOT_EMPTY "storage" "the SCM mount point has no superblock and holds something else"
    1249 FORMAT_WOULD_NOT_COMPLETE "storage" "a formatted engine is not given up for a format that cannot complete"
    1250 FORMAT_NOTHING_TO_REPLACE "storage" "no engine needs a format, so none can replace a lost member"
    1251 CONTROL_METADATA_PATH "controlmetadata" "the path of control metadata cannot be used, or holds what is not ours"
    1252 CONTROL_METADATA_DEVICE "controlmetadata" "control metadata on a device of its own is not supported"
    1253 FORMAT_SYSTEM_DATABASE "storage" "the system database could not be closed, so its storage is not formatted"
    1254 FORMAT_BROKEN "storage" "the format broke off because of a defect"
    1260 DRPC_MALFORMED_ANSWER "drpc" "the answer of an engine breaks the protocol"
    1261 DRPC_TIMED_OUT "drpc" "an engine did not answer in time"
    1262 DRPC_REFUSED "drpc" "an engine refused a call"
    1263 DRPC_SOCKET_PATH_TOO_LONG "drpc" "the path of a socket does not fit into the kernel's limit"
    1264 DRPC_SOCKET_DIRECTORY "drpc" "the socket directory is missing or closed to the server"
    1265 DRPC_SOCKET "drpc" "a socket cannot be made or replaced"
    1279 ENGINE_SHUTTING_DOWN "server" "the engine ends with the server and takes no more orders"
    1280 SERVER_PATH_CLAIMED "server" "another server uses the same directory"
    1281 SERVER_PATH_UNLOCKABLE "server" "a directory cannot be locked against other servers"
    1310 CONFIG_SYNTAX "serverconfig" "the configuration file is not valid YAML"
    1311 CONFIG_TYPE "serverconfig" "a value in the configuration has the wrong type"
    1312 CONFIG_UNKNOWN_KEY "serverconfig" "a key in the configuration does not exist"
    1313 CONFIG_DUPLICATE_KEY "serverconfig" "a key in the configuration is written twice"
    1314 CONFIG_UNREADABLE "serverconfig" "the configuration file cannot be read"
    1340 CLIENT_HOST_LIST "client" "a host list cannot be read"
    1341 CLIENT_RANK_SET "client" "a set of ranks cannot be read"
    1342 CLIENT_NO_PLAN_SERVICE "client" "a server cannot show what a format would do"
    1343 CLIENT_NOT_CONFIRMED "client" "a plan that destroys data was not confirmed"
    1344 CLIENT_RANKS_RUNNING "client" "ranks run that must be stopped first"
    1345 CLIENT_MALFORMED_ANSWER "client" "the answer of a server cannot be understood"
    1346 CLIENT_NO_CONFIG_FILE "client" "the configuration file that was named does not exist"
    1347 CLIENT_UNREADABLE_FILE "client" "a file cannot be read"
    1348 CLIENT_CERTIFICATES_UNSUPPORTED "client" "this version speaks insecure mode only"
    1349 CLIENT_BAD_SYSTEM_NAME "client" "the name of the system is empty or too long"
    1350 CLIENT_EMPTY_CONFIG "client" "the configuration file holds nothing"
    1360 NETWORK_PROVIDER_UNKNOWN "network" "no fabric provider of that name is known"
    1361 CONTROL_PORT_IN_USE "server" "another process listens on the control port"
    1362 CONTROL_PORT_UNUSABLE "server" "the server cannot listen on the control port"
    1363 NETWORK_UNREADABLE "network" "the kernel's description of the network cannot be read"
    1364 MEMORY_UNREADABLE "storage" "the kernel's description of memory cannot be read"
}
