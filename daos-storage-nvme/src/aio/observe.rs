//! Looks at the path of a file-backed device. Changes nothing, follows no link.

use std::fs::{self, File, FileType, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use daos_blockdev::{BlockdevError, Content, DeviceNumber};
use rustix::fs::SeekFrom;
use rustix::io::Errno;

use crate::BdevError;
use crate::model::{FileContent, FileFacts, FileKind, FileState, ParentState};

/// How many written zeros are looked at before a file counts as data: 1 GiB.
const LOOK_AT: u64 = 1 << 30;

pub(super) fn observe(path: &Path) -> Result<FileState, BdevError> {
    let state = observe_without_uses(path)?;
    let FileState::Present(facts) = state else { return Ok(state) };
    let uses = match facts.kind {
        FileKind::Regular => daos_blockdev::file_uses(path)?,
        _ => Vec::new(),
    };
    Ok(FileState::Present(FileFacts { uses, ..facts }))
}

/// For reading back what was just made: asking every process whether it has the file open takes a while.
pub(super) fn observe_without_uses(path: &Path) -> Result<FileState, BdevError> {
    let name = path.display().to_string();
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(FileState::Absent { parent: parent(path)? });
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Ok(FileState::Absent { parent: ParentState::NotADirectory });
        }
        Err(error) => return Err(BdevError::from_io(&name, "look at the file", error)),
    };
    let kind = kind_of(metadata.file_type());
    if kind != FileKind::Regular {
        return Ok(FileState::Present(facts(
            kind,
            &metadata,
            Vec::new(),
            FileContent::NotLookedAt,
        )));
    }
    let file = open(path, false).map_err(|e| BdevError::from_io(&name, "open the file", e))?;
    let opened = file.metadata().map_err(|e| BdevError::from_io(&name, "look at the file", e))?;
    let content = content(&file, path)?;
    Ok(FileState::Present(facts(kind_of(opened.file_type()), &opened, Vec::new(), content)))
}

/// Opens without following a link or waiting for a FIFO.
pub(super) fn open(path: &Path, write: bool) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    #[allow(clippy::cast_possible_wrap)] // both flags are low bits
    File::options().read(true).write(write).custom_flags(flags.bits() as i32).open(path)
}

pub(super) fn facts(
    kind: FileKind,
    metadata: &Metadata,
    uses: Vec<daos_blockdev::DeviceUse>,
    content: FileContent,
) -> FileFacts {
    FileFacts {
        kind,
        file_system: DeviceNumber::from_dev(metadata.dev()),
        inode: metadata.ino(),
        size_bytes: metadata.len(),
        allocated_bytes: metadata.blocks().saturating_mul(512),
        uid: metadata.uid(),
        gid: metadata.gid(),
        mode: metadata.mode() & 0o7777,
        modified_ns: i128::from(metadata.mtime()) * 1_000_000_000
            + i128::from(metadata.mtime_nsec()),
        uses,
        content,
    }
}

pub(super) fn kind_of(file_type: FileType) -> FileKind {
    if file_type.is_file() {
        FileKind::Regular
    } else if file_type.is_dir() {
        FileKind::Directory
    } else if file_type.is_symlink() {
        FileKind::SymbolicLink
    } else if file_type.is_block_device() {
        FileKind::BlockDevice
    } else {
        FileKind::Special
    }
}

fn parent(path: &Path) -> Result<ParentState, BdevError> {
    let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else {
        return Ok(ParentState::Directory); // a bare name; the planner refuses relative paths
    };
    match fs::metadata(parent) {
        Ok(metadata) if metadata.is_dir() && super::room::is_read_only(parent) => {
            Ok(ParentState::ReadOnly)
        }
        Ok(metadata) if metadata.is_dir() => Ok(ParentState::Directory),
        Ok(_) => Ok(ParentState::NotADirectory),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(ParentState::Missing),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Ok(ParentState::NotADirectory)
        }
        Err(error) => {
            let name = parent.display().to_string();
            Err(BdevError::from_io(&name, "look at the directory", error))
        }
    }
}

fn content(file: &File, path: &Path) -> Result<FileContent, BdevError> {
    let name = path.display().to_string();
    let found = first_data(file).map_err(|e| BdevError::from_io(&name, "read the file", e))?;
    let first_data = match found {
        FirstData::None => return Ok(FileContent::Blank),
        FirstData::NotWithin(looked_at) => return Ok(FileContent::Unproven { looked_at }),
        FirstData::At(offset) => offset,
    };
    match daos_blockdev::probe(file, path) {
        Ok(Content::Signatures(signatures)) => {
            Ok(FileContent::Data(Content::Signatures(signatures)))
        }
        // It holds data in any case; the program would only have told which.
        Ok(Content::Blank | Content::Unrecognised { .. })
        | Err(BlockdevError::ToolMissing { .. } | BlockdevError::ToolFailed { .. }) => {
            Ok(FileContent::Data(Content::Unrecognised { first_data }))
        }
        Err(error) => Err(error.into()),
    }
}

enum FirstData {
    None,
    At(u64),
    NotWithin(u64),
}

/// The first byte that is not zero. Holes, and space that is reserved but was never written, are skipped without
/// reading.
fn first_data(file: &File) -> io::Result<FirstData> {
    // Small enough that the allocator gives it back: this runs at every start, in a server that stays for months.
    const CHUNK: usize = 64 << 10;
    let size = file.metadata()?.len();
    let zeros = vec![0u8; CHUNK];
    let mut buffer = vec![0u8; CHUNK];
    let (mut at, mut looked_at) = (0, 0);
    while let Some((start, end)) = next_extent(file, at, size)? {
        at = start;
        while at < end {
            if looked_at >= LOOK_AT {
                return Ok(FirstData::NotWithin(looked_at));
            }
            let length = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
            let Some(chunk) = buffer.get_mut(..length) else { break };
            file.read_exact_at(chunk, at)?;
            if let Some(within) = first_difference(chunk, &zeros) {
                return Ok(FirstData::At(at + within as u64));
            }
            at += length as u64;
            looked_at += length as u64;
        }
    }
    Ok(FirstData::None)
}

/// Where written data starts and ends from `at` on.
fn next_extent(file: &File, at: u64, size: u64) -> io::Result<Option<(u64, u64)>> {
    if at >= size {
        return Ok(None);
    }
    let start = match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok(None),
        // A file system that knows no holes: all of it is data.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some((at, size))),
        Err(error) => return Err(error.into()),
    };
    let end = rustix::fs::seek(file, SeekFrom::Hole(start)).unwrap_or(size);
    Ok(Some((start, end.min(size))))
}

fn first_difference(chunk: &[u8], zeros: &[u8]) -> Option<usize> {
    // Comparing slices is one fast call; searching byte by byte is for the chunk that differs.
    if zeros.get(..chunk.len()) == Some(chunk) {
        return None;
    }
    chunk.iter().position(|byte| *byte != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content_of(write: impl Fn(&File)) -> FileContent {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("f");
        let file = File::create(&path).expect("create");
        write(&file);
        drop(file);
        match observe(&path).expect("observe") {
            FileState::Present(facts) => facts.content,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn holes_reserved_space_and_written_zeros_are_blank() {
        assert_eq!(content_of(|_| ()), FileContent::Blank);
        assert_eq!(content_of(|f| f.set_len(5 << 30).expect("hole")), FileContent::Blank);
        let zeros = |f: &File| f.write_all_at(&[0; 9000], 5000).expect("zeros");
        assert_eq!(content_of(zeros), FileContent::Blank);
    }

    #[test]
    fn a_single_byte_anywhere_is_data() {
        let middle = content_of(|f| {
            f.set_len(1 << 30).expect("hole");
            f.write_all_at(b"x", 512 << 20).expect("one byte");
        });
        let at = 512 << 20;
        assert_eq!(middle, FileContent::Data(Content::Unrecognised { first_data: at }));
        let FileContent::Data(ours) =
            content_of(|f| f.write_all_at(b"DAOSIOBD\x01", 0).expect("mark"))
        else {
            panic!("blank")
        };
        assert_eq!(ours.to_string(), "DAOSIOBD DAOS block device");
    }

    #[test]
    fn what_is_no_file_is_told_without_opening_it() {
        let dir = tempfile::tempdir().expect("directory");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/etc/passwd", &link).expect("link");
        let kind = |path: &Path| match observe(path).expect("observe") {
            FileState::Present(facts) => facts.kind,
            other => panic!("{other:?}"),
        };
        assert_eq!(kind(&link), FileKind::SymbolicLink);
        assert_eq!(kind(dir.path()), FileKind::Directory);
        assert_eq!(kind(Path::new("/dev/null")), FileKind::Special);
        let absent = |path: &Path| match observe(path).expect("observe") {
            FileState::Absent { parent } => parent,
            other => panic!("{other:?}"),
        };
        assert_eq!(absent(&dir.path().join("f")), ParentState::Directory);
        assert_eq!(absent(&dir.path().join("d/f")), ParentState::Missing);
        assert_eq!(absent(Path::new("/etc/passwd/f")), ParentState::NotADirectory);
    }
}
