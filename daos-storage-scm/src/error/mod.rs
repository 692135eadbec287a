//! Every way in which an operation on storage class memory can be refused or fail.
//!
//! Owns the fault numbers of this crate: those of contract 10.2 where the condition exists there, ours from
//! 1200 to 1214, from 1460 to 1474, 1500 and 1501. Called by everything here and by the fault conversion of the control plane.

mod codes;

use std::path::PathBuf;

use daos_blockdev::BlockdevError;
use rustix::io::Errno;

use crate::model::{Entries, ProcessRef};

pub use codes::FAULT_CODES;

/// What went wrong, to which device or path. [`ScmError::code`] is stable, [`ScmError::resolution`] says what
/// an administrator can do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScmError {
    /// A program that is needed is not installed (code 1, E4).
    #[error("{tool} is needed for {device} and was not found in {searched}")]
    MissingTool {
        /// Name of the program, e.g. `mkfs.ext4`.
        tool: String,
        /// Device it was needed for.
        device: PathBuf,
        /// Directories that were searched, colon separated.
        searched: String,
    },
    /// A tool that is installed in a version known to be wrong (code 2).
    #[error("{tool} {version} must not be used")]
    BadToolVersion {
        /// The tool, e.g. `libipmctl.so.5`.
        tool: String,
        /// Its version.
        version: String,
    },
    /// A plain format of something that already is a DAOS storage (code 101, R130).
    #[error("SCM of engine {engine} at {} is already formatted: {what}", mount_point.display())]
    AlreadyFormatted {
        /// Engine index on this host.
        engine: u32,
        /// Its mount point.
        mount_point: PathBuf,
        /// What was seen, e.g. `superblock present` or `/dev/pmem0 holds ext4 labelled daos`.
        what: String,
    },
    /// A plain format of a device that holds somebody else's data (code 101 as in contract 7.3; W10, W14).
    #[error("{} holds {signature}, which is not a DAOS storage", device.display())]
    ForeignSignature {
        /// The configured device.
        device: PathBuf,
        /// Type, label and uuid of what is on it.
        signature: String,
    },
    /// The device is mounted, at another place than the engine's mount point (code 103, R128).
    #[error("{} is mounted at {at}", device.display())]
    DeviceMounted {
        /// The configured device.
        device: PathBuf,
        /// Where, with the process of another mount namespace if it is one.
        at: String,
    },
    /// Something else is mounted at the engine's mount point, or more than one thing (code 104, R128, E3).
    #[error("{} already is a mount point: {what}", mount_point.display())]
    TargetMounted {
        /// The engine's mount point.
        mount_point: PathBuf,
        /// What is mounted there.
        what: String,
    },
    /// A path may not be read, created or given to its owner (code 105).
    #[error("not permitted to {action} {}", path.display())]
    PathDenied {
        /// The path.
        path: PathBuf,
        /// What was tried, e.g. `open`, `create`.
        action: String,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// A device carries our file system and the directory to mount it on cannot be made (code 106).
    #[error("{} holds a DAOS file system, but {} cannot be created", device.display(), mount_point.display())]
    NoMountDirectory {
        /// The device.
        device: PathBuf,
        /// The mount point.
        mount_point: PathBuf,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// Something unforeseen inside the control plane itself (code 200).
    #[error("internal: {what}")]
    Internal {
        /// What happened.
        what: String,
    },
    /// Class ram with a size of zero (code 201, R127).
    #[error("SCM of engine {engine} is class ram with size 0")]
    RamSizeZero {
        /// Engine index.
        engine: u32,
    },
    /// Class dcpm needs exactly one device (code 202, R127).
    #[error("SCM of engine {engine} is class dcpm with {count} usable devices, needs exactly one")]
    DeviceCount {
        /// Engine index.
        engine: u32,
        /// How many non-empty device paths were given.
        count: usize,
    },
    /// No mount point, or one that is not an absolute plain path (code 203, R127).
    #[error("SCM of engine {engine} has no usable mount point: {why}")]
    NoMountPoint {
        /// Engine index.
        engine: u32,
        /// What is wrong with it.
        why: String,
    },
    /// The configured device does not exist (code 204, R110).
    #[error("configured SCM device {} does not exist", device.display())]
    DeviceMissing {
        /// The device.
        device: PathBuf,
    },
    /// Neither class ram nor class dcpm was asked for (code 205, R127).
    #[error("SCM of engine {engine} has neither a RAM size nor a device")]
    NoClass {
        /// Engine index.
        engine: u32,
    },
    /// Both classes were asked for (code 206, R127).
    #[error("SCM of engine {engine} has both RAM and device parameters")]
    BothClasses {
        /// Engine index.
        engine: u32,
    },
    /// Looking for modules, regions or namespaces failed (code 208).
    #[error("discovery of persistent memory failed at {what}")]
    DiscoveryFailed {
        /// The path or call that failed.
        what: String,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// A socket was asked for that has no persistent memory (code 211).
    #[error("socket {socket} has no persistent memory")]
    NoPmem {
        /// The socket.
        socket: u32,
    },
    /// Regions that nothing can be built on (code 212, T7).
    #[error("persistent memory of socket {socket}: {why}")]
    BadRegion {
        /// The socket.
        socket: u32,
        /// Not interleaved, broken, locked.
        why: String,
    },
    /// Persistent memory is used in a way that preparing would not make (code 213).
    #[error("persistent memory of socket {socket}: {why}")]
    InvalidPmem {
        /// The socket.
        socket: u32,
        /// In words.
        why: String,
    },
    /// Not enough free memory for the RAM disks (code 214, contract 5.7).
    #[error(
        "{wanted} bytes of RAM disk need {needed} bytes of available memory, there are {available}"
    )]
    LowMemory {
        /// Sum of the sizes.
        wanted: u64,
        /// 90 % of it.
        needed: u64,
        /// MemAvailable.
        available: u64,
    },
    /// A mounted tmpfs is bigger than configured (code 215, contract 5.7).
    #[error("tmpfs at {} has {actual} bytes, configured are {configured}", mount_point.display())]
    RamdiskTooBig {
        /// The mount point.
        mount_point: PathBuf,
        /// Its size in bytes.
        actual: u64,
        /// The configured size in bytes.
        configured: u64,
    },
    /// A plain unmount was refused since processes use the file system (code 1200).
    #[error("{} is busy: {}", mount_point.display(), list(holders))]
    Busy {
        /// The mount point.
        mount_point: PathBuf,
        /// Who uses it; empty when no process could be found (another mount namespace, the kernel).
        holders: Vec<ProcessRef>,
    },
    /// The device is used by something other than a mount: swap, md, dm, loop, partitions, an open claim
    /// (code 1201).
    #[error("{} is in use: {}", device.display(), users.join("; "))]
    InUse {
        /// The device.
        device: PathBuf,
        /// Each use in words.
        users: Vec<String>,
    },
    /// Content was half erased by a format that did not end (code 1202).
    #[error("an earlier format did not finish erasing {}", path.display())]
    EraseInterrupted {
        /// The directory.
        path: PathBuf,
    },
    /// The mount point holds files that are not known to be ours (code 1203, W1, W46).
    #[error("{} is not empty: {entries}", path.display())]
    HoldsContent {
        /// The directory or mount point.
        path: PathBuf,
        /// What is in it.
        entries: Entries,
    },
    /// The engine of this storage runs (code 1204, E25).
    #[error("engine {engine} is running on {}", mount_point.display())]
    EngineRunning {
        /// Engine index.
        engine: u32,
        /// Its mount point.
        mount_point: PathBuf,
    },
    /// This process may not mount (code 1205, R117).
    #[error("this process may not mount {}: {why}", mount_point.display())]
    MayNotMount {
        /// The mount point.
        mount_point: PathBuf,
        /// What was tried and what the kernel said.
        why: String,
    },
    /// The mount point cannot be used for what is configured (code 1206).
    #[error("{} cannot hold SCM: {why}", path.display())]
    UnsuitablePath {
        /// The path.
        path: PathBuf,
        /// Symbolic link, not a directory, not on a tmpfs, something mounted below, and so on.
        why: String,
    },
    /// What was accepted is not what would be done now (code 1207).
    #[error("SCM plan for {} no longer holds: {why}", mount_point.display())]
    PlanChanged {
        /// The mount point.
        mount_point: PathBuf,
        /// What differs.
        why: String,
    },
    /// The device cannot be mounted with direct access (code 1208).
    #[error("{} does not offer direct access (dax)", device.display())]
    NoDax {
        /// The device.
        device: PathBuf,
    },
    /// The configured device is something else (code 1209, E4).
    #[error("{} is not a block device but {kind}", device.display())]
    NotABlockDevice {
        /// The path.
        device: PathBuf,
        /// What it is, e.g. `a directory`.
        kind: String,
    },
    /// A program failed; its words are kept (code 1210, E4).
    #[error("{command} for {} failed ({status}): {output}", device.display())]
    CommandFailed {
        /// The program and its arguments.
        command: String,
        /// The device it worked on.
        device: PathBuf,
        /// Exit status, signal or deadline.
        status: String,
        /// Standard output and standard error, capped.
        output: String,
    },
    /// What was read back is not what was written (code 1211).
    #[error("{subject} was set up but reads back differently: {why}")]
    ReadBack {
        /// Device or mount point.
        subject: String,
        /// What was expected and what was found.
        why: String,
    },
    /// This body has no such operation (code 1212).
    #[error("{operation} is not available here: {why}")]
    Unsupported {
        /// The operation.
        operation: &'static str,
        /// Why not.
        why: String,
    },
    /// Asked to mount what was never formatted (code 1213).
    #[error("SCM of engine {engine} at {} is not formatted: {what}", mount_point.display())]
    NotFormatted {
        /// Engine index.
        engine: u32,
        /// The mount point.
        mount_point: PathBuf,
        /// What was seen instead.
        what: String,
    },
    /// Looking at or claiming a block device failed (its own code, 1215 to 1224).
    #[error(transparent)]
    Device(#[from] BlockdevError),
    /// The vendor's library refused a call (code 1460).
    #[error("{tool}: {call} answered {code} ({meaning})")]
    ToolFailed {
        /// The library.
        tool: String,
        /// The call.
        call: &'static str,
        /// What it answered.
        code: i32,
        /// That in words.
        meaning: &'static str,
    },
    /// The vendor's library does not return from a call (code 1500).
    #[error("{tool} has not answered for {seconds} s")]
    ToolSilent {
        /// The library.
        tool: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A namespace would be given up that nobody can look at (code 1501).
    #[error("it cannot be told who uses {namespace} and what is on it: {why}")]
    NamespaceUnseen {
        /// Its name.
        namespace: String,
        /// Disabled, a character device, not permitted, and so on.
        why: String,
        /// What to do about it.
        resolution: String,
    },
    /// What a program printed cannot be read (code 1461, E17).
    #[error("{tool} answered what cannot be read: {why}")]
    ToolOutput {
        /// The program.
        tool: String,
        /// What is wrong with it.
        why: String,
    },
    /// A goal has to be set and the library that does it cannot be used (its own code: 1, 2, 1460 or 1500).
    #[error("a goal has to be set: {why}")]
    GoalsUnavailable {
        /// Number of the reason.
        code: i32,
        /// The reason.
        why: String,
        /// What to do about it.
        resolution: String,
    },
    /// A system call failed in a way no other number names (code 1214).
    #[error("cannot {action} {}", path.display())]
    System {
        /// What was tried, e.g. `mount tmpfs on`.
        action: &'static str,
        /// Path or device.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
}

fn list(holders: &[ProcessRef]) -> String {
    if holders.is_empty() {
        return "no process that can be seen holds it, it may be one in another mount namespace"
            .to_owned();
    }
    holders.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The library that manages Intel's modules, by the name the loader knows.
pub(crate) const LIBIPMCTL: &str = "libipmctl.so.5";

/// An error and what caused it, in one line.
pub(crate) fn with_cause(error: &ScmError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

impl ScmError {
    /// An [`ScmError::System`] from the error of a standard library call.
    pub(crate) fn system(
        action: &'static str,
        path: impl Into<PathBuf>,
        source: impl Into<SystemCause>,
    ) -> Self {
        Self::System { action, path: path.into(), source: source.into().0 }
    }
}

/// The kernel's answer, from either kind of error the callers meet.
pub(crate) struct SystemCause(pub(crate) Errno);

impl From<Errno> for SystemCause {
    fn from(errno: Errno) -> Self {
        Self(errno)
    }
}

impl From<std::io::Error> for SystemCause {
    fn from(error: std::io::Error) -> Self {
        Self(Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_kept_and_not_repeated_in_the_text() {
        let error = ScmError::system("unmount", "/mnt/daos0", Errno::PERM);
        assert_eq!(error.to_string(), "cannot unmount /mnt/daos0");
        let source = std::error::Error::source(&error).map(ToString::to_string);
        assert_eq!(source, Some(Errno::PERM.to_string()));
    }
}
