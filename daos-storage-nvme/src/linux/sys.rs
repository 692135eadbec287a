//! The two ioctls of this crate, on descriptors that somebody else opened and checked: `submit`, one NVMe admin command, and
//! `group_is_viable`, a question to VFIO.
//!
//! Called by `admin` and `kernel`. Knows no meaning of any command.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::io;
use std::os::fd::AsFd;

use rustix::ioctl::{Ioctl, IoctlOutput, Opcode};

use super::ffi::nvme_ioctl_generated as ffi;
use super::ffi::vfio_generated as vfio;

const ADMIN_COMMAND: Opcode = ffi::IOCTL_ADMIN_COMMAND as Opcode;

/// The parts of an admin command that this crate uses (NVMe base specification, common command format).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) opcode: u8,
    pub(super) namespace: u32,
    pub(super) dword10: u32,
    pub(super) dword11: u32,
    /// Milliseconds the controller may take; 0 for the driver's default of a minute.
    pub(super) timeout_ms: u32,
}

/// How a command ended that did not succeed.
#[derive(Debug)]
pub(super) enum Failed {
    /// The kernel did not pass it on, or lost the device.
    Kernel(io::Error),
    /// The controller answered with this status: code type in bits 8-10, code in bits 0-7, 'do not retry' in bit 14.
    Status(u16),
}

/// Sends a command that reads into `data`, or moves no data when it is empty.
pub(super) fn submit(device: impl AsFd, command: Command, data: &mut [u8]) -> Result<u32, Failed> {
    let mut passed = ffi::nvme_passthru_cmd {
        opcode: command.opcode,
        nsid: command.namespace,
        addr: if data.is_empty() { 0 } else { data.as_mut_ptr() as u64 },
        data_len: u32::try_from(data.len()).map_err(|_| {
            Failed::Kernel(io::Error::new(io::ErrorKind::InvalidInput, "buffer beyond 4 GiB"))
        })?,
        cdw10: command.dword10,
        cdw11: command.dword11,
        timeout_ms: command.timeout_ms,
        ..ffi::nvme_passthru_cmd::default()
    };
    // SAFETY: `passed` describes `data`, which is borrowed mutably until after the call.
    let status = unsafe { rustix::ioctl::ioctl(device, AdminIoctl(&mut passed)) };
    match status {
        Ok(0) => Ok(passed.result),
        Ok(status) => Err(Failed::Status(u16::try_from(status).unwrap_or(u16::MAX))),
        Err(error) => Err(Failed::Kernel(error.into())),
    }
}

/// Whether no driver of the kernel has any function of an IOMMU group, so that VFIO lets a program use those in it.
pub(super) fn group_is_viable(group: impl AsFd) -> io::Result<bool> {
    let argsz = u32::try_from(size_of::<vfio::vfio_group_status>()).unwrap_or(0);
    let mut status = vfio::vfio_group_status { argsz, flags: 0 };
    // SAFETY: the kernel writes `flags` of a structure whose size it was told, and that is borrowed mutably until after the call.
    unsafe { rustix::ioctl::ioctl(group, GroupStatus(&mut status)) }?;
    Ok(status.flags & vfio::GROUP_VIABLE != 0)
}

struct GroupStatus<'a>(&'a mut vfio::vfio_group_status);

// SAFETY: GROUP_GET_STATUS takes a pointer to one vfio_group_status, which is what `as_ptr` hands out for as long as the borrow
// lives, and writes its `flags`: so it mutates. Its return value is no pointer.
unsafe impl Ioctl for GroupStatus<'_> {
    type Output = ();
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        vfio::IOCTL_GROUP_GET_STATUS as Opcode
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::from_mut(self.0).cast()
    }

    unsafe fn output_from_ptr(_: IoctlOutput, _: *mut c_void) -> rustix::io::Result<()> {
        Ok(())
    }
}

struct AdminIoctl<'a>(&'a mut ffi::nvme_passthru_cmd);

// SAFETY: ADMIN_COMMAND takes a pointer to one nvme_passthru_cmd, which is what `as_ptr` hands out for as long as the
// borrow lives, and writes its `result`: so it mutates. Its return value is the controller's status, no pointer.
unsafe impl Ioctl for AdminIoctl<'_> {
    type Output = IoctlOutput;
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        ADMIN_COMMAND
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::from_mut(self.0).cast()
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> rustix::io::Result<IoctlOutput> {
        Ok(out)
    }
}
