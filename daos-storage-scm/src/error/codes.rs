//! Number, domain and remedy of each error.

use super::ScmError;
use crate::model::READ_ONLY;

/// Every fault number of this crate's own, with its meaning in a few words, for comparison with `docs/faults.md`.
pub const FAULT_CODES: &[(i32, &str)] = &[
    (1, "a needed program is not installed"),
    (2, "a needed program or library is of a version that is known to be wrong"),
    (101, "already formatted, or formatted by somebody else"),
    (103, "device is mounted elsewhere"),
    (104, "something else is mounted at the mount point"),
    (105, "path may not be accessed"),
    (106, "file system exists but its mount directory cannot be made"),
    (200, "internal error"),
    (201, "RAM size is 0"),
    (202, "class dcpm needs exactly one device"),
    (203, "no mount point"),
    (204, "device does not exist"),
    (205, "neither ram nor dcpm parameters"),
    (206, "both ram and dcpm parameters"),
    (208, "discovery failed"),
    (211, "no persistent memory on the socket"),
    (212, "a region is broken or not interleaved"),
    (213, "persistent memory is partly used, or in another mode"),
    (214, "not enough memory for the RAM disks"),
    (215, "mounted tmpfs is bigger than configured"),
    (1200, "mount point is busy"),
    (1201, "device is in use"),
    (1202, "an earlier erase was interrupted"),
    (1203, "mount point holds unknown files"),
    (1204, "engine is running"),
    (1205, "this process may not mount"),
    (1206, "path cannot hold SCM"),
    (1207, "plan no longer holds"),
    (1208, "device offers no direct access"),
    (1209, "not a block device"),
    (1210, "a program failed"),
    (1211, "read back differs from what was written"),
    (1212, "operation is not available in this provider"),
    (1213, "not formatted"),
    (1214, "system call failed"),
    (1460, "the library of the modules refused a call"),
    (1461, "the answer of a program cannot be read"),
    (1500, "the library of the modules does not answer"),
    (1501, "a namespace that would be given up cannot be looked at"),
];

impl ScmError {
    /// The stable fault number: contract 10.2, or ours from 1200 on.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::MissingTool { .. } => 1,
            Self::BadToolVersion { .. } => 2,
            Self::AlreadyFormatted { .. } | Self::ForeignSignature { .. } => 101,
            Self::DeviceMounted { .. } => 103,
            Self::TargetMounted { .. } => 104,
            Self::PathDenied { .. } => 105,
            Self::NoMountDirectory { .. } => 106,
            Self::Internal { .. } => 200,
            Self::RamSizeZero { .. } => 201,
            Self::DeviceCount { .. } => 202,
            Self::NoMountPoint { .. } => 203,
            Self::DeviceMissing { .. } => 204,
            Self::NoClass { .. } => 205,
            Self::BothClasses { .. } => 206,
            Self::DiscoveryFailed { .. } => 208,
            Self::NoPmem { .. } => 211,
            Self::BadRegion { .. } => 212,
            Self::InvalidPmem { .. } => 213,
            Self::LowMemory { .. } => 214,
            Self::RamdiskTooBig { .. } => 215,
            Self::Busy { .. } => 1200,
            Self::InUse { .. } => 1201,
            Self::EraseInterrupted { .. } => 1202,
            Self::HoldsContent { .. } => 1203,
            Self::EngineRunning { .. } => 1204,
            Self::MayNotMount { .. } => 1205,
            Self::UnsuitablePath { .. } => 1206,
            Self::PlanChanged { .. } => 1207,
            Self::NoDax { .. } => 1208,
            Self::NotABlockDevice { .. } => 1209,
            Self::CommandFailed { .. } => 1210,
            Self::ReadBack { .. } => 1211,
            Self::Unsupported { .. } => 1212,
            Self::NotFormatted { .. } => 1213,
            Self::System { .. } => 1214,
            Self::ToolFailed { .. } => 1460,
            Self::ToolOutput { .. } => 1461,
            Self::ToolSilent { .. } => 1500,
            Self::NamespaceUnseen { .. } => 1501,
            Self::GoalsUnavailable { code, .. } => *code,
            Self::Device(error) => error.code(),
        }
    }

    /// The fault domain of the number: `scm` or `storage` as in contract 10.2, `blockdev` for a device's own error.
    #[must_use]
    pub fn domain(&self) -> &'static str {
        match self {
            Self::TargetMounted { .. }
            | Self::PathDenied { .. }
            | Self::NoMountDirectory { .. }
            | Self::NoPmem { .. }
            | Self::BadRegion { .. }
            | Self::InvalidPmem { .. }
            | Self::LowMemory { .. }
            | Self::RamdiskTooBig { .. } => "storage",
            Self::Device(_) => "blockdev",
            _ => "scm",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &str {
        match self {
            Self::MissingTool { tool, .. } if tool == "ndctl" => "install ndctl and retry",
            Self::MissingTool { tool, .. } if tool == super::LIBIPMCTL => {
                "install libipmctl (package libipmctl5, libipmctl or ipmctl) and retry"
            }
            Self::BadToolVersion { .. } => "install a newer ipmctl",
            Self::NoPmem { .. } => "name a socket that daos_server scm scan shows",
            Self::BadRegion { .. } => {
                "look at ipmctl show -region; daos_server scm reset makes interleaved regions of healthy modules anew"
            }
            Self::InvalidPmem { .. } => {
                "look at ndctl list -RNi; make it usable with ndctl, or give it back with daos_server scm reset"
            }
            Self::ToolFailed { .. } => {
                "run as root; look at ipmctl show -dimm and ipmctl show -goal for the state of the modules"
            }
            Self::ToolOutput { .. } => {
                "install a newer version of the program, or report its output"
            }
            Self::ToolSilent { .. } => {
                "look at the kernel log for the modules; end what else manages them (ipmctl), restart the server, and retry"
            }
            Self::GoalsUnavailable { resolution, .. }
            | Self::NamespaceUnseen { resolution, .. } => resolution,
            Self::MissingTool { .. } => "install the program (mkfs.ext4 is in e2fsprogs) and retry",
            Self::AlreadyFormatted { .. } => {
                "start the server to use it, or format with --reformat to lose what is on it"
            }
            Self::ForeignSignature { .. } => {
                "check that the right device is configured; format with --reformat to lose what is on it"
            }
            Self::DeviceMounted { .. } | Self::TargetMounted { .. } => "unmount it and retry",
            Self::PathDenied { .. } => {
                "run daos_server as a user with access to the path, or correct owner and mode"
            }
            Self::NoMountDirectory { .. } => "create the mount point directory and retry",
            Self::Internal { .. } => "retry; if it stays, report it with the server log",
            Self::RamSizeZero { .. } => "set scm_size to the number of GiB, or leave it out",
            Self::DeviceCount { .. } => "name exactly one device in scm_list",
            Self::NoMountPoint { .. } => "set scm_mount to an absolute path",
            Self::DeviceMissing { .. } => {
                "check scm_list; run SCM preparation (daos_server storage prepare --scm-only) to create it"
            }
            Self::NoClass { .. } => "set scm_class to ram or dcpm with its parameters",
            Self::BothClasses { .. } => "remove scm_size or scm_list, according to scm_class",
            Self::DiscoveryFailed { .. } => "check that /sys is mounted and readable",
            Self::LowMemory { .. } => "lower scm_size or nr_hugepages, or free memory",
            Self::RamdiskTooBig { .. } => "unmount the tmpfs and format again, or raise scm_size",
            Self::Busy { .. } => {
                "stop the processes named, or find them in other mount namespaces, and retry"
            }
            // Nobody can release it when that is all there is against it.
            Self::InUse { users, .. } if users.iter().all(|by| by == READ_ONLY) => {
                "make the device writable, or name another one in scm_list"
            }
            Self::InUse { .. } => {
                "release the device (end the process, swapoff, stop md, dm or loop, delete partitions) and retry"
            }
            Self::EraseInterrupted { .. } => "format with --reformat to finish erasing",
            Self::HoldsContent { .. } => {
                "check that the path is the right one and move the files away; --reformat erases them only where a tmpfs is mounted at the path itself"
            }
            Self::EngineRunning { .. } => "stop the engine (dmg system stop) and retry",
            Self::MayNotMount { .. } => {
                "run daos_server as root, or set scm_mount to a new name directly below a tmpfs mount such as /dev/shm (class ram)"
            }
            Self::UnsuitablePath { .. } => "set scm_mount to a plain directory of its own",
            Self::PlanChanged { .. } => "make a new plan, read it, and apply that",
            Self::NoDax { .. } => {
                "use an fsdax namespace (ndctl create-namespace --mode fsdax) on persistent memory"
            }
            Self::NotABlockDevice { .. } => "correct scm_list",
            Self::CommandFailed { .. } => "read the output of the program above and the kernel log",
            Self::ReadBack { .. } => {
                "something else works on the same storage, or the kernel ignored a setting: check both and format again"
            }
            Self::Unsupported { .. } => {
                "use a host and a provider with persistent memory, or do it with ndctl and ipmctl"
            }
            Self::NotFormatted { .. } => "run dmg storage format",
            Self::System { .. } => "see the kernel's answer and its log",
            Self::Device(error) => error.resolution(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FAULT_CODES;
    use crate::ScmError;
    use crate::model::READ_ONLY;

    #[test]
    fn nobody_is_told_to_release_a_device_that_only_cannot_be_written() {
        let remedy = |users: &[&str]| {
            let users = users.iter().map(ToString::to_string).collect();
            ScmError::InUse { device: "/dev/pmem0".into(), users }.resolution().to_owned()
        };
        assert!(remedy(&[READ_ONLY]).contains("writable"));
        assert!(!remedy(&[READ_ONLY]).contains("release"));
        assert!(remedy(&["open by pid 7", READ_ONLY]).contains("end the process"));
    }

    #[test]
    fn numbers_are_those_of_the_contract_or_in_our_range() {
        for (code, meaning) in FAULT_CODES {
            assert!(
                (1..=2).contains(code)
                    || (101..=106).contains(code)
                    || (200..=216).contains(code)
                    || (1200..=1214).contains(code)
                    || (1460..=1474).contains(code)
                    || (1500..=1501).contains(code),
                "{code} {meaning}"
            );
        }
        let mut codes: Vec<i32> = FAULT_CODES.iter().map(|(code, _)| *code).collect();
        codes.dedup();
        assert_eq!(codes.len(), FAULT_CODES.len(), "listed twice or out of order");
    }
}
