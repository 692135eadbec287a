//! The requests of the kernel's VFIO interface (`linux/vfio.h`) that one look at a controller needs. Called by `main`.
#![allow(unsafe_code)]

use std::ffi::{CString, c_ulong};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::ptr;

/// Requests are numbered from here: `_IO(';', 100)`.
const BASE: c_ulong = 0x3b64;
const SET_IOMMU: c_ulong = BASE + 2;
const GROUP_STATUS: c_ulong = BASE + 3;
const SET_CONTAINER: c_ulong = BASE + 4;
const DEVICE: c_ulong = BASE + 6;
const REGION: c_ulong = BASE + 8;
/// The IOMMU of x86.
const TYPE_1: c_ulong = 1;
const PAGE: usize = 4096;

#[repr(C)]
struct Status {
    size: u32,
    flags: u32,
}

/// A window into a device: where in its descriptor, and how long.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Region {
    size_of_this: u32,
    flags: u32,
    index: u32,
    capabilities: u32,
    pub bytes: u64,
    pub offset: u64,
}

fn told(answer: i32) -> io::Result<i32> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// Whether programs may use what is in a group.
pub fn is_viable(group: &File) -> io::Result<bool> {
    let mut status = Status { size: 8, flags: 0 };
    // SAFETY: the request writes one structure of the size that it names, and it is borrowed until after the call.
    told(unsafe { libc::ioctl(group.as_raw_fd(), GROUP_STATUS, ptr::from_mut(&mut status)) })?;
    Ok(status.flags & 1 != 0)
}

/// Puts a group into a container.
pub fn join(group: &File, container: &File) -> io::Result<()> {
    let container = container.as_raw_fd();
    // SAFETY: the request reads one int, which lives until after the call.
    told(unsafe { libc::ioctl(group.as_raw_fd(), SET_CONTAINER, ptr::from_ref(&container)) })
        .map(drop)
}

/// Has the IOMMU protect the memory of a container.
pub fn protect(container: &File) -> io::Result<()> {
    // SAFETY: the request takes a number and no pointer.
    told(unsafe { libc::ioctl(container.as_raw_fd(), SET_IOMMU, TYPE_1) }).map(drop)
}

/// The descriptor of one device of a group.
pub fn device(group: &File, address: &str) -> io::Result<File> {
    let name = CString::new(address)?;
    // SAFETY: the request reads a text that ends with zero and lives until after the call.
    let fd = told(unsafe { libc::ioctl(group.as_raw_fd(), DEVICE, name.as_ptr()) })?;
    // SAFETY: it is a new descriptor, and nobody else has its number.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// Where a window of the device is.
pub fn region(device: &File, index: u32) -> io::Result<Region> {
    let mut region = Region { size_of_this: 32, index, ..Region::default() };
    // SAFETY: the request writes one structure of the size that it names, and it is borrowed until after the call.
    told(unsafe { libc::ioctl(device.as_raw_fd(), REGION, ptr::from_mut(&mut region)) })?;
    Ok(region)
}

/// Maps the first page of a window and reads one register of four bytes.
pub fn read_mapped(device: &File, region: &Region, at: usize) -> io::Result<u32> {
    if region.bytes < PAGE as u64 || at + 4 > PAGE || at & 3 != 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let offset = i64::try_from(region.offset).map_err(io::Error::other)?;
    let fd = device.as_raw_fd();
    // SAFETY: a new mapping at a place that the kernel chooses, of a page that the window has.
    let page =
        unsafe { libc::mmap(ptr::null_mut(), PAGE, libc::PROT_READ, libc::MAP_SHARED, fd, offset) };
    if page == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: inside the page, aligned to four, and mapped until after it; a register may change at any time, so it is read once.
    let value = unsafe { ptr::read_volatile(page.cast::<u32>().add(at / 4)) };
    // SAFETY: the mapping from above, which nobody uses any more.
    let gone = unsafe { libc::munmap(page, PAGE) };
    told(gone).map(|_| value)
}
