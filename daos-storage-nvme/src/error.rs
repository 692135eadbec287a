//! `BdevError`: everything that can go wrong with block devices (faults 300-319 and 804 of contract 10.2, ours
//! 1225-1238, 1440-1447, 1490, 1491 and 1495-1499). Each names the device it is about.

use std::io;
use std::path::PathBuf;

use daos_blockdev::{BlockdevError, DeviceUse};

use crate::{BdevClass, DeviceRef};

/// Why a block device operation failed or was refused.
#[derive(Debug, thiserror::Error)]
pub enum BdevError {
    /// No such class (R55).
    #[error("bdev_class \"{class}\": unknown, must be one of nvme, malloc, kdev, file")]
    UnknownClass {
        /// The class as written.
        class: String,
    },
    /// A PCI address that cannot be read.
    #[error("\"{text}\" is not a PCI address")]
    BadPciAddress {
        /// The address as written.
        text: String,
    },
    /// A configured device is not there.
    #[error("{device}: no such device")]
    NotFound {
        /// The device.
        device: String,
    },
    /// A device occurs twice, under one name or two.
    #[error("{device}: the device is listed twice")]
    DuplicateDevice {
        /// The device.
        device: String,
    },
    /// No such role.
    #[error("bdev_roles: \"{name}\" is not a role")]
    UnknownRole {
        /// The role as written.
        name: String,
    },
    /// NVMe and emulated devices in one engine.
    #[error("NVMe and emulated block devices are mixed in one engine")]
    MixedClasses,
    /// A step of a format failed.
    #[error("{device}: {step}: {source}")]
    StepFailed {
        /// The device.
        device: String,
        /// What was being done.
        step: String,
        /// The system's own error.
        #[source]
        source: io::Error,
    },
    /// The device is in use: refused whatever was asked for.
    #[error("{device}: in use: {}", list(uses))]
    InUse {
        /// The device.
        device: String,
        /// By whom; at least one.
        uses: Vec<DeviceUse>,
    },
    /// There is something on the device that is not known to be ours.
    #[error("{device}: not blank: {content}")]
    NotBlank {
        /// The device with its identity.
        device: String,
        /// What is on it.
        content: String,
    },
    /// A file has another size than configured.
    #[error("{device}: the file has {found} bytes, bdev_size asks for {wanted}")]
    WrongSize {
        /// The file.
        device: String,
        /// Its size.
        found: u64,
        /// The configured size.
        wanted: u64,
    },
    /// Something else than a regular file is at the path.
    #[error("{device}: not a regular file, but a {found}")]
    NotARegularFile {
        /// The path.
        device: String,
        /// What it is.
        found: String,
    },
    /// A path that cannot hold a file-backed device.
    #[error("{device}: {detail}")]
    BadPath {
        /// The path.
        device: String,
        /// What is wrong with it.
        detail: &'static str,
    },
    /// The world, or the plan itself, is not what was accepted.
    #[error("{subject}: changed since the plan was made: {detail}")]
    PlanChanged {
        /// The device, or the plan of which engine.
        subject: String,
        /// What differs.
        detail: String,
    },
    /// This body, or this class of device, has no such operation.
    #[error("{operation} is not supported for block devices of class {class}")]
    Unsupported {
        /// The operation.
        operation: &'static str,
        /// The class.
        class: BdevClass,
    },
    /// A device configuration file cannot be read or written.
    #[error("{}: {action}: {source}", path.display())]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's own error.
        #[source]
        source: io::Error,
    },
    /// A device configuration file is not understood.
    #[error("{}: not a device configuration: {detail}", path.display())]
    ConfigInvalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its place where known.
        detail: String,
    },
    /// The record of what prepare changed is not understood, so nobody knows what to put back.
    #[error("{}: not a record of what prepare changed: {detail}", path.display())]
    RecordInvalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its place where known.
        detail: String,
    },
    /// A device configuration cannot be said in this form.
    #[error("the device configuration cannot be written as {form}: {detail}")]
    ConfigInexpressible {
        /// `JSON` or `INI`.
        form: &'static str,
        /// Why.
        detail: String,
    },
    /// The medium has no room for the file.
    #[error("{device}: no space for {wanted} bytes")]
    NoSpace {
        /// The file.
        device: String,
        /// Its size.
        wanted: u64,
        /// The system's own error.
        #[source]
        source: io::Error,
    },
    /// What was done reads back otherwise.
    #[error("{device}: formatted, but reads back otherwise: {detail}")]
    ReadBack {
        /// The device.
        device: String,
        /// What was found.
        detail: String,
    },
    /// A target that no configuration may ask for.
    #[error("block devices of the engine: {detail}")]
    BadTarget {
        /// What is wrong.
        detail: String,
    },
    /// The device cannot be written.
    #[error("{device}: read-only")]
    ReadOnly {
        /// The device.
        device: String,
    },
    /// The rights of the server do not suffice.
    #[error("{device}: {action}: permission denied")]
    AccessDenied {
        /// The device or file.
        device: String,
        /// What was tried.
        action: String,
        /// The system's own error.
        #[source]
        source: io::Error,
    },
    /// The kernel did not give a controller to a driver, whatever it said.
    #[error("{device}: asked for driver {driver}, but {detail}")]
    DriverNotBound {
        /// Address.
        device: String,
        /// The driver.
        driver: String,
        /// What is so instead.
        detail: String,
    },
    /// No driver would let this user have the controller.
    #[error("{device}: cannot be given to an unprivileged user: {why}")]
    NoUserSpaceDriver {
        /// Address.
        device: String,
        /// Why.
        why: &'static str,
    },
    /// What is on a namespace could not be told, so that it may be in use.
    #[error("{device}: namespace {namespace} could not be looked at, so that it may be in use")]
    Unseen {
        /// Address.
        device: String,
        /// Id of the namespace.
        namespace: u32,
    },
    /// A driver for user space has a controller of which nothing is known.
    #[error("{device}: bound to {driver}, and no record of a prepare says what it is")]
    NotRecorded {
        /// Address.
        device: String,
        /// The driver, or `no driver`.
        driver: String,
    },
    /// A driver for user space has the controller, and this process has not the right to format it all the same.
    #[error(
        "{device}: bound to {driver}, and this server may not give it to the kernel's driver for a format"
    )]
    MayNotRebind {
        /// Address.
        device: String,
        /// The driver.
        driver: String,
    },
    /// A format failed, and the controller could not be given back to the driver for user space that had it.
    #[error("{device}: {source}; and it could not be given back: {detail}")]
    NotGivenBack {
        /// Address.
        device: String,
        /// Why it could not.
        detail: String,
        /// What failed first.
        #[source]
        source: Box<Self>,
    },
    /// A controller could not be made ready, and is not what it was before that.
    #[error("{device}: could not be made ready: {source}; it has {driver} now")]
    NotAsItWas {
        /// Address.
        device: String,
        /// The driver, or `no driver`.
        driver: String,
        /// What failed.
        #[source]
        source: Box<Self>,
    },
    /// Something about a controller could not be told that has to be known before it is touched.
    #[error("{device}: {detail}; it is left alone while that is not known")]
    NotTold {
        /// Address.
        device: String,
        /// What could not be told, and why.
        detail: String,
    },
    /// A driver has the controller of which nobody here knows what it does with it.
    #[error(
        "{device}: bound to {driver}, which is neither the kernel's driver for NVMe nor one for engines"
    )]
    ForeignDriver {
        /// Address.
        device: String,
        /// The driver.
        driver: String,
    },
    /// A program of the system could not be asked.
    #[error("{about}: the program {program} gave no answer: {source}")]
    ProgramFailed {
        /// Its name.
        program: &'static str,
        /// What it was asked about.
        about: String,
        /// The system's own error.
        #[source]
        source: io::Error,
    },
    /// Somebody else keeps the record of what prepare changed.
    #[error("{}: kept by {holder} for more than {seconds} s", path.display())]
    RecordBusy {
        /// The file that is locked.
        path: PathBuf,
        /// Who keeps it, or waits for it too.
        holder: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A driver was asked to let go of a controller, and still waits for whoever has it open.
    #[error("{device}: {driver} did not let go of it within {seconds} s")]
    DriverWaits {
        /// Address.
        device: String,
        /// The driver.
        driver: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The kernel had fewer huge pages than asked for.
    #[error("NUMA node {node}: asked for {asked} huge pages, got {got}")]
    TooFewHugepages {
        /// Node.
        node: u32,
        /// Pages asked for.
        asked: u64,
        /// Pages read back.
        got: u64,
    },
    /// The user to prepare for does not exist.
    #[error("there is no user \"{user}\" on this host")]
    UnknownUser {
        /// The name.
        user: String,
    },
    /// The work was cut off inside this process.
    #[error("{subject}: the operation was cut off: {detail}")]
    CutOff {
        /// The device.
        subject: String,
        /// How.
        detail: String,
    },
    /// Looking at, claiming or erasing a block device failed.
    #[error(transparent)]
    Device(#[from] BlockdevError),
}

fn list(uses: &[DeviceUse]) -> String {
    uses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl BdevError {
    /// The stable fault number of `docs/faults.md`.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::AccessDenied { .. } => 105,
            Self::UnknownClass { .. } => 301,
            Self::StepFailed { .. } => 302,
            Self::BadPciAddress { .. } => 303,
            Self::NotFound { .. } => 304,
            Self::DuplicateDevice { .. } => 305,
            Self::UnknownRole { .. } => 308,
            Self::MixedClasses => 309,
            Self::ConfigInvalid { .. } => 804,
            Self::InUse { .. } => 1225,
            Self::NotBlank { .. } => 1226,
            Self::WrongSize { .. } => 1227,
            Self::NotARegularFile { .. } => 1228,
            Self::BadPath { .. } => 1229,
            Self::PlanChanged { .. } => 1230,
            Self::Unsupported { .. } => 1231,
            Self::ConfigFile { .. } => 1232,
            Self::ConfigInexpressible { .. } => 1233,
            Self::NoSpace { .. } => 1234,
            Self::ReadBack { .. } => 1235,
            Self::BadTarget { .. } => 1236,
            Self::ReadOnly { .. } => 1237,
            Self::CutOff { .. } => 1238,
            Self::DriverNotBound { .. } => 1440,
            Self::NoUserSpaceDriver { .. } => 1441,
            Self::TooFewHugepages { .. } => 1442,
            Self::UnknownUser { .. } => 1443,
            Self::Unseen { .. } => 1444,
            Self::NotRecorded { .. } => 1445,
            Self::MayNotRebind { .. } => 1446,
            Self::NotGivenBack { .. } => 1447,
            Self::NotAsItWas { .. } => 1490,
            Self::RecordInvalid { .. } => 1491,
            Self::NotTold { .. } => 1495,
            Self::ForeignDriver { .. } => 1496,
            Self::ProgramFailed { .. } => 1497,
            Self::RecordBusy { .. } => 1498,
            Self::DriverWaits { .. } => 1499,
            Self::Device(error) => error.code(),
        }
    }

    /// What an administrator can do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        match self {
            Self::UnknownClass { .. } => {
                "set bdev_class to nvme, malloc, kdev or file in the server configuration file and restart the server"
            }
            Self::BadPciAddress { .. } => {
                "write the full address in bdev_list, e.g. 0000:81:00.0, and restart the server"
            }
            Self::NotFound { .. } => {
                "look at 'daos_server nvme scan' and correct bdev_list, or attach the device"
            }
            Self::DuplicateDevice { .. } => {
                "remove the duplicate from the server configuration file and restart the server"
            }
            Self::UnknownRole { .. } => "use only the roles data, meta and wal in bdev_roles",
            Self::MixedClasses => {
                "use either class nvme or the classes file, kdev and malloc within one engine"
            }
            Self::StepFailed { .. } | Self::ReadBack { .. } => {
                "check the kernel log for errors of the device, then format again"
            }
            Self::InUse { .. } => {
                "unmount, switch off or stop whatever uses the device, then format again; no option overrides this"
            }
            Self::NotBlank { .. } => {
                "make sure that the data is not needed, then format again with --reformat, or choose another device"
            }
            Self::WrongSize { .. } => {
                "correct bdev_size, remove the file, or format again with --reformat to make it anew"
            }
            Self::NotARegularFile { .. } => {
                "name a path for a file in bdev_list, or use class kdev for a block device"
            }
            Self::BadPath { .. } => {
                "write an absolute path below an existing directory in bdev_list"
            }
            Self::PlanChanged { .. } => {
                "look at the new plan and format again if it is still right"
            }
            Self::Unsupported { class: BdevClass::Nvme, .. } => {
                "use the provider for NVMe (LinuxNvme), or choose class file or kdev"
            }
            Self::Unsupported { .. } => "use this operation with class nvme only",
            Self::ConfigFile { .. } => {
                "check that the directory of the file is there and not full, and that this user may read and write in it"
            }
            Self::ConfigInvalid { .. } => {
                "remove the file to have it made anew from the server configuration file"
            }
            Self::RecordInvalid { .. } => {
                "put the file back from a backup; or remove it, and set huge pages and owners by hand: a reset then only gives controllers to the kernel"
            }
            Self::ConfigInexpressible { .. } => {
                "use nvme_conf_format json and device paths in UTF-8 without blanks"
            }
            Self::NoSpace { .. } => "free space on the file system or lower bdev_size",
            Self::BadTarget { .. } => "correct bdev_size, bdev_number and the tiers of the engine",
            Self::ReadOnly { .. } => {
                "make the device or file system writable, or choose another one"
            }
            Self::AccessDenied { .. } => {
                "give the user of the server access to the path, or run the server as root"
            }
            Self::DriverNotBound { .. } => {
                "look into the kernel log; for vfio-pci switch the IOMMU on in firmware and kernel (intel_iommu=on or amd_iommu=on)"
            }
            Self::NoUserSpaceDriver { .. } => {
                "switch the IOMMU on in firmware and kernel (intel_iommu=on or amd_iommu=on) and use VFIO, or prepare for root"
            }
            Self::TooFewHugepages { .. } => {
                "free memory on the node, ask for fewer pages, or reserve them at boot with hugepages=N"
            }
            Self::UnknownUser { .. } => "name an existing user with -u",
            Self::Unseen { .. } => {
                "run as root, look at 'daos_server nvme scan' and the kernel log, or leave the controller out"
            }
            Self::NotRecorded { .. } => {
                "give it back to the kernel with 'daos_server nvme reset ADDRESS', format, and prepare it again with 'daos_server nvme prepare'"
            }
            Self::MayNotRebind { .. } => {
                "run the server as root for the format; or give the controller back with 'daos_server nvme reset ADDRESS' as root, give the server's user access to its block devices, format, and prepare it again"
            }
            Self::NotGivenBack { .. } => {
                "look into the kernel log; the next format or start of the server gives it back, 'daos_server nvme reset ADDRESS' leaves it with the kernel"
            }
            Self::NotAsItWas { .. } => {
                "look into the kernel log, then prepare again, or give it to the kernel with 'daos_server nvme reset ADDRESS'"
            }
            Self::NotTold { .. } => {
                "run as root, look at 'daos_server nvme scan' and the kernel log, or leave the controller out"
            }
            Self::ForeignDriver { .. } => {
                "end whatever uses the controller through that driver and give it back to the kernel's driver nvme, or leave it out"
            }
            Self::DriverWaits { .. } => {
                "end the program that has the controller open; the kernel takes it from the driver then, and 'daos_server nvme reset ADDRESS' gives it to the kernel's driver"
            }
            Self::ProgramFailed { .. } => {
                "run the program by hand to see why it does not answer, e.g. because of a directory service that is away, and try again"
            }
            Self::RecordBusy { .. } => {
                "wait until the other prepare, reset or format has ended, or end it, and try again"
            }
            Self::CutOff { .. } => "format again",
            Self::Device(error) => error.resolution(),
        }
    }

    /// Sorts a system error of one step.
    pub(crate) fn from_io(device: &str, step: impl Into<String>, source: io::Error) -> Self {
        let (device, step) = (device.to_owned(), step.into());
        match source.kind() {
            io::ErrorKind::PermissionDenied => Self::AccessDenied { device, action: step, source },
            io::ErrorKind::NotFound => Self::NotFound { device },
            _ => Self::StepFailed { device, step, source },
        }
    }

    pub(crate) fn changed(device: &DeviceRef, detail: impl Into<String>) -> Self {
        Self::PlanChanged { subject: device.name.clone(), detail: detail.into() }
    }
}
