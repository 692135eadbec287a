//! The mount table and what is mounted where. Called by both storage crates and by `uses`.
//!
//! Parses mountinfo itself, byte by byte: paths there are octal-escaped (W7) and need not be UTF-8, and one odd
//! mount elsewhere must not keep a device from being checked. Must not mount or unmount anything.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{BlockdevError, DeviceNumber};

/// One line of the mount table, decoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountEntry {
    /// Mount id, unique among the mounts that exist now.
    pub id: u64,
    /// Id of the mount this one lies on.
    pub parent: u64,
    /// Device number of the file system; major 0 when it has no block device.
    pub device: DeviceNumber,
    /// Which directory of the file system is mounted; `/` except for bind mounts.
    pub root: PathBuf,
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// Options of this mount, e.g. `nosuid`.
    pub options: Vec<String>,
    /// File system type, e.g. `ext4`.
    pub fs_type: String,
    /// What is mounted: a device path for real file systems, any word for others.
    pub source: OsString,
    /// Options of the file system itself, e.g. `size=1048576k` of a tmpfs.
    pub super_options: Vec<String>,
}

impl MountEntry {
    /// The value of `key=value` among the file system's own options.
    #[must_use]
    pub fn super_option(&self, key: &str) -> Option<&str> {
        self.super_options.iter().find_map(|option| option.strip_prefix(key)?.strip_prefix('='))
    }

    /// Whether the mount has an option such as `nosuid` or `ro`.
    #[must_use]
    pub fn has_option(&self, name: &str) -> bool {
        self.options.iter().any(|option| option == name)
    }

    /// Whether this is a mount of the device: by number, or by its path for file systems such as btrfs that
    /// show a number of their own.
    pub(crate) fn is_of(&self, number: DeviceNumber) -> bool {
        self.device == number
            || (self.source.as_bytes().starts_with(b"/dev/")
                && crate::facts::number_of(Path::new(&self.source)).ok() == Some(number))
    }
}

/// All mounts in this process's mount namespace, in the kernel's order: a later one covers an earlier one.
///
/// # Errors
/// `/proc` cannot be read, or a line of it is not a mount.
pub fn mounts() -> Result<Vec<MountEntry>, BlockdevError> {
    read_mountinfo(Path::new("/proc/self/mountinfo"))
}

pub(crate) fn read_mountinfo(file: &Path) -> Result<Vec<MountEntry>, BlockdevError> {
    let bytes = fs::read(file)
        .map_err(|source| BlockdevError::from_io(file, "read the mount table", source))?;
    parse_mountinfo(&bytes)
        .map_err(|detail| BlockdevError::Unreadable { path: file.to_owned(), detail })
}

/// What is mounted exactly at a path, links resolved; of several mounts the one on top. `None` when the path
/// does not exist or is no mount point.
///
/// # Errors
/// As [`mounts`], or the path cannot be resolved.
pub fn mount_at(path: &Path) -> Result<Option<MountEntry>, BlockdevError> {
    let resolved = match fs::canonicalize(path) {
        Ok(resolved) => resolved,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(BlockdevError::from_io(path, "resolve the path", error)),
    };
    Ok(mounts()?.into_iter().rev().find(|entry| entry.mount_point == resolved))
}

/// Mounts that lie below a path and keep it from being unmounted.
///
/// # Errors
/// As [`mount_at`].
pub fn submounts_of(path: &Path) -> Result<Vec<MountEntry>, BlockdevError> {
    let resolved = fs::canonicalize(path)
        .map_err(|source| BlockdevError::from_io(path, "resolve the path", source))?;
    let below = |entry: &MountEntry| {
        entry.mount_point != resolved && entry.mount_point.starts_with(&resolved)
    };
    Ok(mounts()?.into_iter().filter(below).collect())
}

/// Parses the whole of a mountinfo file.
///
/// # Errors
/// The first line that is not a mount, and why.
pub fn parse_mountinfo(bytes: &[u8]) -> Result<Vec<MountEntry>, String> {
    bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            parse_line(line)
                .ok_or_else(|| format!("not a mount: {}", String::from_utf8_lossy(line)))
        })
        .collect()
}

/// `id parent major:minor root point options [tag…] - type source super-options`
fn parse_line(line: &[u8]) -> Option<MountEntry> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let device = DeviceNumber::parse(std::str::from_utf8(fields.next()?).ok()?)?;
    let root = path(fields.next()?);
    let mount_point = path(fields.next()?);
    let options = list(fields.next()?);
    fields.by_ref().find(|field| *field == b"-")?;
    let fs_type = String::from_utf8_lossy(&unescape_octal(fields.next()?)).into_owned();
    let source = OsString::from_vec(unescape_octal(fields.next()?));
    let super_options = list(fields.next()?);
    Some(MountEntry {
        id,
        parent,
        device,
        root,
        mount_point,
        options,
        fs_type,
        source,
        super_options,
    })
}

fn number(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

fn path(field: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(unescape_octal(field)))
}

fn list(field: &[u8]) -> Vec<String> {
    field
        .split(|byte| *byte == b',')
        .map(|option| String::from_utf8_lossy(&unescape_octal(option)).into_owned())
        .collect()
}

/// Undoes the kernel's `\040` form; anything else is kept as it is.
pub(crate) fn unescape_octal(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        if let (b'\\', Some(value)) = (first, tail.get(..3).and_then(octal)) {
            out.push(value);
            rest = &tail[3..];
        } else {
            out.push(first);
            rest = tail;
        }
    }
    out
}

fn octal(digits: &[u8]) -> Option<u8> {
    digits.iter().try_fold(0u8, |value, digit| {
        let digit = digit.checked_sub(b'0').filter(|d| *d < 8)?;
        value.checked_mul(8)?.checked_add(digit)
    })
}

/// Kinds of file system that the rules of DAOS tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilesystemKind {
    /// Memory, with a size limit.
    Tmpfs,
    /// Memory, without a limit.
    Ramfs,
    /// ext2, ext3 or ext4: they share one number.
    Ext,
    /// XFS.
    Xfs,
    /// btrfs.
    Btrfs,
    /// ZFS.
    Zfs,
    /// Overlay, mostly the root of a container.
    Overlay,
    /// NFS of any version.
    Nfs,
    /// Something else, with its magic number.
    Other(u64),
}

impl FilesystemKind {
    fn from_magic(magic: u64) -> Self {
        match magic {
            0x0102_1994 => Self::Tmpfs,
            0x8584_58f6 => Self::Ramfs,
            0xef53 => Self::Ext,
            0x5846_5342 => Self::Xfs,
            0x9123_683e => Self::Btrfs,
            0x2fc1_2fc1 => Self::Zfs,
            0x794c_7630 => Self::Overlay,
            0x6969 => Self::Nfs,
            other => Self::Other(other),
        }
    }
}

/// The file system a path lies on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filesystem {
    /// Which kind.
    pub kind: FilesystemKind,
    /// Mounted read-only.
    pub read_only: bool,
    /// Mounted nosuid.
    pub nosuid: bool,
    /// Size in bytes; 0 when the file system sets no limit.
    pub total_bytes: u64,
    /// Bytes a plain user can still write.
    pub available_bytes: u64,
}

/// Asks which file system an existing path lies on.
///
/// # Errors
/// The path does not exist or cannot be reached.
pub fn filesystem_of(path: &Path) -> Result<Filesystem, BlockdevError> {
    let ask = |source| BlockdevError::from_io(path, "ask for the file system", source);
    let magic = rustix::fs::statfs(path).map_err(|e| ask(io::Error::from(e)))?.f_type;
    let facts = rustix::fs::statvfs(path).map_err(|e| ask(io::Error::from(e)))?;
    let flags = facts.f_flag;
    Ok(Filesystem {
        // The field's width and sign differ between architectures; magic numbers are 32 bits.
        #[allow(clippy::cast_sign_loss, clippy::unnecessary_cast)]
        kind: FilesystemKind::from_magic((magic as u64) & 0xffff_ffff),
        read_only: flags.contains(rustix::fs::StatVfsMountFlags::RDONLY),
        nosuid: flags.contains(rustix::fs::StatVfsMountFlags::NOSUID),
        total_bytes: facts.f_blocks.saturating_mul(facts.f_frsize),
        available_bytes: facts.f_bavail.saturating_mul(facts.f_frsize),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn octal_escapes_blanks_and_foreign_bytes_are_decoded() {
        let table = b"26 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw\n\
            42 26 0:39 /a\\040b /mnt/d\\303\\251j\\303\\240\\040vu rw,nosuid - tmpfs my\\011tmpfs rw,size=8k\n\
            43 26 0:40 / /odd\xff - tmpfs - rw\n";
        // The third line lacks its options field: the dash ends up in their place.
        let error = parse_mountinfo(table).expect_err("no options");
        assert!(error.starts_with("not a mount: 43 26 0:40"), "{error}");

        let good = table.split(|b| *b == b'\n').take(2).collect::<Vec<_>>().join(&b'\n');
        let entries = parse_mountinfo(&good).expect("two mounts");
        assert_eq!(entries[0].device, DeviceNumber { major: 254, minor: 0 });
        assert_eq!(entries[1].mount_point, Path::new("/mnt/déjà vu"));
        assert_eq!(entries[1].root, Path::new("/a b"));
        assert_eq!(entries[1].source, "my\ttmpfs");
        assert_eq!(entries[1].super_option("size"), Some("8k"));
        assert!(entries[1].has_option("nosuid"));
        assert!(!entries[0].has_option("nosuid"));
    }

    #[test]
    fn a_path_that_is_not_utf8_elsewhere_does_not_hide_the_others() {
        let table = b"1 0 0:1 / /odd\xff rw - tmpfs none rw\n2 1 0:2 / /fine rw - tmpfs none rw\n";
        let entries = parse_mountinfo(table).expect("both");
        assert_eq!(entries[1].mount_point, Path::new("/fine"));
    }

    proptest! {
        #[test]
        fn any_path_survives_the_kernels_escaping(path in proptest::collection::vec(1u8..=255, 1..40)) {
            let escaped: Vec<u8> = path
                .iter()
                .flat_map(|byte| match byte {
                    b' ' | b'\t' | b'\n' | b'\\' | b'#' => format!("\\{byte:03o}").into_bytes(),
                    other => vec![*other],
                })
                .collect();
            prop_assert_eq!(unescape_octal(&escaped), path);
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_mountinfo(&bytes);
        }
    }
}
