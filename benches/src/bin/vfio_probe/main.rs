//! `vfio_probe GROUP ADDRESS`: uses a controller as an engine would, with nothing but the device file of its IOMMU group, and prints the
//! version of NVMe that its registers tell. Fails where the group is not viable or is somebody else's.
//!
//! Runs in guests of hwlab, as the user for whom a controller was prepared. Changes nothing on the medium.

mod sys;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;

use anyhow::{Context as _, Result, ensure};

/// First register window of a controller (NVMe base specification, BAR0), and the page that PCI itself defines.
const REGISTERS: u32 = 0;
const CONFIGURATION: u32 = 7;
/// Offset of the version register.
const VERSION: usize = 8;
/// Offset of PCI's command register, and the bit with which a device answers to reads of its memory.
const COMMAND: u64 = 4;
const MEMORY: u8 = 1 << 1;

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let (group, address) = (words.next().context("a group")?, words.next().context("an address")?);
    let container = open("vfio")?;
    let group = open(&group)?;
    ensure!(sys::is_viable(&group)?, "the group is not viable: a driver of the kernel is in it");
    sys::join(&group, &container).context("adding the group to a container")?;
    sys::protect(&container).context("choosing the IOMMU")?;
    let device = sys::device(&group, &address).context("getting the controller")?;

    let configuration = sys::region(&device, CONFIGURATION)?;
    let mut command = [0];
    device.read_exact_at(&mut command, configuration.offset + COMMAND)?;
    device.write_all_at(&[command[0] | MEMORY], configuration.offset + COMMAND)?;

    let registers = sys::region(&device, REGISTERS)?;
    let version = sys::read_mapped(&device, &registers, VERSION).context("mapping registers")?;
    ensure!(version != 0 && version != u32::MAX, "the version register reads {version:#x}");
    println!("NVMe {}.{}", version >> 16, version >> 8 & 0xff);
    Ok(())
}

fn open(name: &str) -> Result<File> {
    let path = format!("/dev/vfio/{name}");
    OpenOptions::new().read(true).write(true).open(&path).context(path)
}
