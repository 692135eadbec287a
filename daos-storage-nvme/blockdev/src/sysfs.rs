//! Reads what sysfs says about a block device. Called by `facts` and `uses`; knows paths, judges nothing.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{BlockdevError, DeviceKind, DeviceNumber};

/// The sysfs directory of one block device.
#[derive(Debug, Clone)]
pub(crate) struct SysBlock {
    dir: PathBuf,
}

impl SysBlock {
    /// Finds the directory by number, whatever links led to the device.
    pub(crate) fn of(number: DeviceNumber) -> Result<Self, BlockdevError> {
        let link = PathBuf::from(format!("/sys/dev/block/{number}"));
        let dir = fs::canonicalize(&link)
            .map_err(|source| BlockdevError::from_io(link, "find the device in sysfs", source))?;
        Ok(Self { dir })
    }

    /// The kernel's name, e.g. `nvme0n1p1`.
    pub(crate) fn name(&self) -> String {
        self.dir.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    pub(crate) fn is_partition(&self) -> bool {
        self.dir.join("partition").exists()
    }

    /// The whole device: itself, or the parent of a partition.
    fn whole(&self) -> &Path {
        if self.is_partition() { self.dir.parent().unwrap_or(&self.dir) } else { &self.dir }
    }

    pub(crate) fn kind(&self) -> DeviceKind {
        if self.is_partition() {
            let parent = self.whole().file_name().unwrap_or_default();
            return DeviceKind::Partition { parent: parent.to_string_lossy().into_owned() };
        }
        if let Some(name) = read_text(&self.dir.join("dm/name")) {
            return DeviceKind::DeviceMapper { name };
        }
        if self.dir.join("md").is_dir() {
            return DeviceKind::Raid;
        }
        let name = self.name();
        let is_loop =
            name.strip_prefix("loop").is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
        if is_loop {
            let backing_file = read_text(&self.dir.join("loop/backing_file")).map(PathBuf::from);
            return DeviceKind::Loop { backing_file };
        }
        DeviceKind::Disk
    }

    pub(crate) fn size_bytes(&self) -> Option<u64> {
        // sysfs counts in units of 512 bytes whatever the sector size.
        read_number(&self.dir.join("size")).map(|sectors| sectors.saturating_mul(512))
    }

    pub(crate) fn sector_bytes(&self) -> Option<u32> {
        let size = read_number(&self.whole().join("queue/logical_block_size"))?;
        u32::try_from(size).ok()
    }

    pub(crate) fn read_only(&self) -> bool {
        read_number(&self.dir.join("ro")) == Some(1)
    }

    pub(crate) fn dax(&self) -> bool {
        read_number(&self.whole().join("queue/dax")) == Some(1)
    }

    pub(crate) fn disk_sequence(&self) -> Option<u64> {
        read_number(&self.whole().join("diskseq"))
    }

    pub(crate) fn model(&self) -> Option<String> {
        read_text(&self.whole().join("device/model"))
    }

    /// NVMe and virtio tell the serial as text, SCSI in page 0x80 of the vital product data.
    pub(crate) fn serial(&self) -> Option<String> {
        let whole = self.whole();
        ["device/serial", "serial"]
            .iter()
            .find_map(|file| read_text(&whole.join(file)))
            .or_else(|| fs::read(whole.join("device/vpd_pg80")).ok().and_then(|p| vpd_serial(&p)))
    }

    pub(crate) fn wwn(&self) -> Option<String> {
        let whole = self.whole();
        ["wwid", "device/wwid", "dm/uuid", "md/uuid"]
            .iter()
            .find_map(|file| read_text(&whole.join(file)))
    }

    /// Devices built on top of this one, as the kernel registered them.
    pub(crate) fn holders(&self) -> Vec<String> {
        entries(&self.dir.join("holders"))
    }

    /// Partitions the kernel knows on this device.
    pub(crate) fn partitions(&self) -> Vec<String> {
        entries(&self.dir)
            .into_iter()
            .filter(|name| self.dir.join(name).join("partition").exists())
            .collect()
    }
}

/// The friendly name of a device-mapper device, if it is one.
pub(crate) fn mapper_name(kernel_name: &str) -> Option<String> {
    read_text(&Path::new("/sys/class/block").join(kernel_name).join("dm/name"))
}

/// The loop devices that have a file attached: kernel name and what sysfs calls the file.
pub(crate) fn attached_loops() -> Vec<(String, PathBuf)> {
    entries(Path::new("/sys/block"))
        .into_iter()
        .filter(|name| name.starts_with("loop"))
        .filter_map(|name| {
            let file = Path::new("/sys/block").join(&name).join("loop/backing_file");
            read_text(&file).map(|backing| (name, PathBuf::from(backing)))
        })
        .collect()
}

fn entries(dir: &Path) -> Vec<String> {
    let Ok(read) = fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<String> =
        read.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Contents without surrounding blanks and zero bytes; `None` when absent or empty.
fn read_text(path: &Path) -> Option<String> {
    let bytes = fs::read(path).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

fn read_number(path: &Path) -> Option<u64> {
    read_text(path)?.parse().ok()
}

/// Unit serial number page: byte 1 is the page code, bytes 2-3 the length, then ASCII (SPC, page 0x80).
fn vpd_serial(page: &[u8]) -> Option<String> {
    if page.get(1) != Some(&0x80) {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([*page.get(2)?, *page.get(3)?]));
    let text = String::from_utf8_lossy(page.get(4..4 + length)?);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scsi_serial_page_is_read_within_its_length() {
        assert_eq!(vpd_serial(b"\x00\x80\x00\x06 AB12 extra").as_deref(), Some("AB12"));
        assert_eq!(vpd_serial(b"\x00\x80\x00\x40short"), None);
        assert_eq!(vpd_serial(b"\x00\x83\x00\x02AB"), None);
        assert_eq!(vpd_serial(b""), None);
    }
}
