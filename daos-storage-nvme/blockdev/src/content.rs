//! What is on a device, as far as it can be told without understanding it: `blkid` for signatures, own reads for
//! the marks of DAOS block files and for 'nothing at all'.
//!
//! Called by `facts` and `claim`. A missing or failing `blkid` is an error and never 'blank'.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{BlockdevError, DeviceNumber, facts, find_program, run_program};

/// How long `blkid` may take: long enough for a device that repeats a few reads before it gives up.
const BLKID_LIMIT: Duration = Duration::from_secs(120);

/// How much at either end of a device counts for 'blank', and is zeroed by an erase: 4 MiB. All places where
/// known formats keep what identifies them, and the backups of GPT and md, lie inside.
pub const EDGE_BYTES: u64 = 4 << 20;

/// What is on a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// No signature, and nothing but zeros in the first and last [`EDGE_BYTES`].
    Blank,
    /// No signature that is known, but data.
    Unrecognised {
        /// Offset in bytes of the first that is not zero.
        first_data: u64,
    },
    /// Signatures, at least one.
    Signatures(Vec<Signature>),
}

impl Content {
    /// Whether there is nothing to lose.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        *self == Self::Blank
    }

    /// The signatures found; empty unless there are any.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        if let Self::Signatures(signatures) = self { signatures } else { &[] }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blank => f.write_str("blank"),
            Self::Unrecognised { first_data } => {
                write!(f, "data without a known signature, from byte {first_data}")
            }
            Self::Signatures(signatures) => {
                let texts: Vec<String> = signatures.iter().map(ToString::to_string).collect();
                f.write_str(&texts.join("; "))
            }
        }
    }
}

/// What sort of data a signature announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureKind {
    /// A file system.
    FileSystem,
    /// Member of a RAID array.
    Raid,
    /// Physical volume of LVM.
    LvmMember,
    /// A partition table.
    PartitionTable,
    /// Swap space.
    Swap,
    /// Encrypted volume.
    Luks,
    /// Block store of a data-plane engine, whoever's it is.
    Blobstore,
    /// Block device of `daos_io_server`.
    DaosBlockDevice,
    /// Several signatures that contradict each other.
    Ambiguous,
    /// Another one that `blkid` knows.
    Other,
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// What sort of data.
    pub kind: SignatureKind,
    /// The name `blkid` gives it, e.g. `ext4`, `gpt`, `LVM2_member`.
    pub name: String,
    /// Label, if it has one.
    pub label: Option<String>,
    /// Uuid as printed by `blkid`, if it has one.
    pub uuid: Option<String>,
}

impl Signature {
    fn named(kind: SignatureKind, name: &str) -> Self {
        Self { kind, name: name.to_owned(), label: None, uuid: None }
    }

    /// Whether it is one that we put there: the ext4 file system labelled `daos`, or a block device of
    /// `daos_io_server`.
    #[must_use]
    pub fn is_daos(&self) -> bool {
        match self.kind {
            SignatureKind::DaosBlockDevice => true,
            SignatureKind::FileSystem => {
                self.name == "ext4" && self.label.as_deref() == Some("daos")
            }
            _ => false,
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            SignatureKind::FileSystem => "file system",
            SignatureKind::Raid => "RAID member",
            SignatureKind::LvmMember => "LVM physical volume",
            SignatureKind::PartitionTable => "partition table",
            SignatureKind::Swap => "swap space",
            SignatureKind::Luks => "encrypted volume",
            SignatureKind::Blobstore => "block store",
            SignatureKind::DaosBlockDevice => "DAOS block device",
            SignatureKind::Ambiguous => "contradicting signatures",
            SignatureKind::Other => "signature",
        };
        match kind.starts_with(&self.name) {
            true => f.write_str(kind)?,
            false => write!(f, "{} {kind}", self.name)?,
        }
        if let Some(label) = &self.label {
            write!(f, ", label \"{}\"", label.escape_debug())?;
        }
        if let Some(uuid) = &self.uuid {
            write!(f, ", uuid {uuid}")?;
        }
        Ok(())
    }
}

/// Opens the device and makes sure that it still is the one with this number.
pub(crate) fn open_for_reading(path: &Path, expected: DeviceNumber) -> Result<File, BlockdevError> {
    let device = File::open(path)
        .map_err(|source| BlockdevError::from_io(path, "open the device", source))?;
    let metadata = device
        .metadata()
        .map_err(|source| BlockdevError::from_io(path, "look at the open device", source))?;
    let found = facts::number_from(&metadata, path)?;
    if found == expected {
        return Ok(device);
    }
    Err(BlockdevError::IdentityChanged {
        path: path.to_owned(),
        what: "device number",
        expected: expected.to_string(),
        found: found.to_string(),
    })
}

/// Tells what is on an open device or regular file; `path` is only its name in errors.
///
/// # Errors
/// `ToolMissing`, `ToolFailed`, or the device cannot be read: never taken for blank.
pub fn probe(device: &File, path: &Path) -> Result<Content, BlockdevError> {
    if let Some(own) = read_own_mark(device, path)? {
        return Ok(Content::Signatures(vec![own]));
    }
    let signatures = run_blkid(find_program("blkid"), device, path, BLKID_LIMIT)?;
    if !signatures.is_empty() {
        return Ok(Content::Signatures(signatures));
    }
    Ok(match first_data_at_edges(device, path)? {
        Some(first_data) => Content::Unrecognised { first_data },
        None => Content::Blank,
    })
}

/// Marks that `blkid` does not know: an eight-byte magic at the very start.
fn read_own_mark(device: &File, path: &Path) -> Result<Option<Signature>, BlockdevError> {
    let mut head = [0u8; 8];
    let read = device
        .read_at(&mut head, 0)
        .map_err(|source| BlockdevError::from_io(path, "read the start", source))?;
    if read < head.len() {
        return Ok(None);
    }
    Ok(match &head {
        b"DAOSIOBD" => Some(Signature::named(SignatureKind::DaosBlockDevice, "DAOSIOBD")),
        b"SPDKBLOB" => Some(Signature::named(SignatureKind::Blobstore, "SPDK")),
        _ => None,
    })
}

/// Runs a low-level probe of the descriptor itself (it becomes standard input), so that no rename or re-plug
/// between our open and the program's can show it another device.
fn run_blkid(
    tool: io::Result<PathBuf>,
    device: &File,
    path: &Path,
    limit: Duration,
) -> Result<Vec<Signature>, BlockdevError> {
    let stdin = device
        .try_clone()
        .map_err(|source| BlockdevError::from_io(path, "hand the device to blkid", source))?;
    let arguments = ["-p", "-o", "export", "/proc/self/fd/0"];
    let output = tool.and_then(|tool| run_program(&tool, &arguments, Stdio::from(stdin), limit));
    let output = output.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => {
            BlockdevError::ToolMissing { tool: "blkid", path: path.to_owned(), source }
        }
        io::ErrorKind::TimedOut => BlockdevError::ToolFailed {
            tool: "blkid",
            path: path.to_owned(),
            detail: source.to_string(),
        },
        _ => BlockdevError::from_io(path, "run blkid", source),
    })?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    match output.status.code() {
        Some(0) => Ok(parse_blkid(&output.stdout)),
        // The same status also means 'could not open it' and 'could not read it'; only silence means nothing found.
        Some(2) if said.is_empty() => Ok(Vec::new()),
        Some(8) => Ok(vec![Signature::named(SignatureKind::Ambiguous, "several")]),
        _ => Err(BlockdevError::ToolFailed {
            tool: "blkid",
            path: path.to_owned(),
            detail: format!("{}: {said}", output.status),
        }),
    }
}

/// Parses `KEY=value` lines. Keys about the partition that the device itself is are no content of it.
fn parse_blkid(output: &[u8]) -> Vec<Signature> {
    let pairs: Vec<(String, String)> = String::from_utf8_lossy(output)
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), unescape_blkid(value)))
        .collect();
    let get = |key: &str| pairs.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone());
    let mut found = Vec::new();
    if let Some(name) = get("TYPE") {
        let kind = kind_of(&name, get("USAGE").as_deref());
        found.push(Signature { kind, name, label: get("LABEL"), uuid: get("UUID") });
    }
    if let Some(name) = get("PTTYPE") {
        let kind = SignatureKind::PartitionTable;
        found.push(Signature { kind, name, label: None, uuid: get("PTUUID") });
    }
    found
}

fn kind_of(name: &str, usage: Option<&str>) -> SignatureKind {
    match (name, usage) {
        ("swap" | "swsuspend" | "swap_suspend", _) => SignatureKind::Swap,
        ("crypto_LUKS", _) | (_, Some("crypto")) => SignatureKind::Luks,
        ("LVM2_member" | "LVM1_member", _) => SignatureKind::LvmMember,
        (_, Some("raid")) => SignatureKind::Raid,
        (_, Some("filesystem")) => SignatureKind::FileSystem,
        _ => SignatureKind::Other,
    }
}

/// `\xHH` for bytes that cannot be printed, a backslash before characters special to a shell.
fn unescape_blkid(value: &str) -> String {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex =
            tail.get(..3).filter(|t| t[0] == b'x').and_then(|t| std::str::from_utf8(&t[1..]).ok());
        match (first, hex.and_then(|h| u8::from_str_radix(h, 16).ok())) {
            (b'\\', Some(byte)) => {
                out.push(byte);
                rest = &tail[3..];
            }
            (b'\\', None) if !tail.is_empty() => {
                out.push(tail[0]);
                rest = &tail[1..];
            }
            _ => {
                out.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Offset of the first byte in either edge that is not zero.
pub(crate) fn first_data_at_edges(
    device: &File,
    path: &Path,
) -> Result<Option<u64>, BlockdevError> {
    let size = size_of(device, path)?;
    let (head, tail) = edges(size);
    for (start, end) in [head, tail] {
        if let Some(offset) = first_data(device, path, start, end)? {
            return Ok(Some(offset));
        }
    }
    Ok(None)
}

/// Start and end of the two ranges that are looked at and erased; they never overlap.
pub(crate) fn edges(size: u64) -> ((u64, u64), (u64, u64)) {
    let head_end = size.min(EDGE_BYTES);
    let tail_start = size.saturating_sub(EDGE_BYTES).max(head_end);
    ((0, head_end), (tail_start, size))
}

/// Size from the descriptor itself; of a block device, metadata says 0.
pub(crate) fn size_of(device: &File, path: &Path) -> Result<u64, BlockdevError> {
    rustix::fs::seek(device, rustix::fs::SeekFrom::End(0)).map_err(|error| {
        BlockdevError::from_io(path, "measure the open device", io::Error::from(error))
    })
}

fn first_data(
    device: &File,
    path: &Path,
    start: u64,
    end: u64,
) -> Result<Option<u64>, BlockdevError> {
    // Small enough that the allocator gives it back: this runs at every start, in a server that stays for months.
    const CHUNK: u64 = 64 << 10;
    let zeros = vec![0u8; CHUNK as usize];
    let mut buffer = vec![0u8; CHUNK as usize];
    let mut at = start;
    while at < end {
        let length = (end - at).min(CHUNK) as usize;
        let chunk = &mut buffer[..length];
        device
            .read_exact_at(chunk, at)
            .map_err(|source| BlockdevError::from_io(path, "read the device", source))?;
        if *chunk != zeros[..length] {
            let within = chunk.iter().position(|byte| *byte != 0).unwrap_or(0);
            return Ok(Some(at + within as u64));
        }
        at += length as u64;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_says_its_kind_once() {
        let swap = super::Signature::named(super::SignatureKind::Swap, "swap");
        assert_eq!(swap.to_string(), "swap space");
        let ext4 = super::Signature::named(super::SignatureKind::FileSystem, "ext4");
        assert_eq!(ext4.to_string(), "ext4 file system");
    }

    #[test]
    fn blkid_output_is_parsed_with_its_escapes() {
        let output = b"DEVNAME=/proc/self/fd/0\nLABEL=a\\ b\\\\c\\x0aTYPE=x\\xc3\\xa9\nUUID=9f\nTYPE=ext4\nUSAGE=filesystem\n";
        let found = parse_blkid(output);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].kind, SignatureKind::FileSystem);
        assert_eq!(found[0].label.as_deref(), Some("a b\\c\nTYPE=xé"));
        assert_eq!(found[0].to_string(), "ext4 file system, label \"a b\\\\c\\nTYPE=xé\", uuid 9f");
    }

    #[test]
    fn the_partition_entry_of_a_blank_partition_is_no_content() {
        assert!(parse_blkid(b"PART_ENTRY_SCHEME=gpt\nPART_ENTRY_TYPE=0x83\n").is_empty());
        let table = parse_blkid(b"PTUUID=ab\nPTTYPE=gpt\n");
        assert_eq!(table[0].kind, SignatureKind::PartitionTable);
        assert_eq!(table[0].uuid.as_deref(), Some("ab"));
    }

    #[test]
    fn kinds_follow_name_and_usage() {
        let kind = |name, usage| kind_of(name, Some(usage));
        assert_eq!(kind("linux_raid_member", "raid"), SignatureKind::Raid);
        assert_eq!(kind("LVM2_member", "raid"), SignatureKind::LvmMember);
        assert_eq!(kind("crypto_LUKS", "crypto"), SignatureKind::Luks);
        assert_eq!(kind("swap", "other"), SignatureKind::Swap);
        assert_eq!(kind("oracleasm", "other"), SignatureKind::Other);
    }

    #[test]
    fn edges_cover_small_devices_once_and_large_ones_at_both_ends() {
        assert_eq!(edges(0), ((0, 0), (0, 0)));
        assert_eq!(edges(EDGE_BYTES + 1), ((0, EDGE_BYTES), (EDGE_BYTES, EDGE_BYTES + 1)));
        let large = 10 * EDGE_BYTES;
        assert_eq!(edges(large), ((0, EDGE_BYTES), (large - EDGE_BYTES, large)));
    }

    #[test]
    fn only_our_own_label_counts_as_ours() {
        let mut ext4 = Signature::named(SignatureKind::FileSystem, "ext4");
        assert!(!ext4.is_daos(), "any ext4 is not ours (W10)");
        ext4.label = Some("daos".to_owned());
        assert!(ext4.is_daos());
        ext4.name = "xfs".to_owned();
        assert!(!ext4.is_daos());
        assert!(Signature::named(SignatureKind::DaosBlockDevice, "DAOSIOBD").is_daos());
        assert!(!Signature::named(SignatureKind::Blobstore, "SPDK").is_daos());
    }

    #[test]
    fn a_missing_tool_is_an_error_and_never_blank() {
        let file = tempfile::tempfile().expect("temporary file");
        let run = |tool: &str, limit| run_blkid(Ok(tool.into()), &file, Path::new("/dev/x"), limit);
        let error = run("/nonexistent/blkid", BLKID_LIMIT).expect_err("no such program");
        assert_eq!(error.code(), 1218);
        let error = run("/bin/false", BLKID_LIMIT).expect_err("a program that fails");
        assert_eq!(error.code(), 1219);
        let directory = tempfile::tempdir().expect("directory");
        let hangs = directory.path().join("blkid");
        std::fs::write(&hangs, "#!/bin/sh\nexec sleep 600\n").expect("script");
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&hangs, executable).expect("mode");
        let error = run(&hangs.display().to_string(), Duration::from_millis(50))
            .expect_err("a program that hangs");
        assert_eq!(error.code(), 1219);
        assert!(error.to_string().contains("did not end within"), "{error}");
    }
}
