//! The one ioctl that sysfs does not answer reliably: which file a loop device stands on.
//!
//! sysfs tells the file's path, which means nothing after a rename or from another mount namespace; the driver
//! tells device and inode. Called by `uses`.
#![allow(unsafe_code)]

use std::os::fd::AsFd;

use crate::DeviceNumber;

/// `struct loop_info64` is 232 bytes; its first three words are what is needed.
type LoopInfo = [u64; 29];
const LOOP_GET_STATUS64: rustix::ioctl::Opcode = 0x4C05;

/// What a loop device stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LoopBacking {
    /// File system the backing file is on.
    pub(crate) file_system: DeviceNumber,
    /// Inode of the backing file.
    pub(crate) inode: u64,
    /// The device itself, when the backing file is a device node.
    pub(crate) device: DeviceNumber,
}

pub(crate) fn loop_backing(fd: impl AsFd) -> rustix::io::Result<LoopBacking> {
    // SAFETY: LOOP_GET_STATUS64 fills a loop_info64 of exactly 232 bytes, which any bit pattern of 29 words is.
    let info: LoopInfo = unsafe {
        rustix::ioctl::ioctl(fd, rustix::ioctl::Getter::<LOOP_GET_STATUS64, LoopInfo>::new())?
    };
    Ok(LoopBacking {
        file_system: DeviceNumber::from_kernel(info[0]),
        inode: info[1],
        device: DeviceNumber::from_kernel(info[2]),
    })
}
