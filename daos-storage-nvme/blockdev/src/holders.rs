//! Which processes hold a mount, a device or a file. Called by `uses`, and by the storage crates when an
//! unmount says 'busy'. Must not signal anybody.
//!
//! Processes come and go while this looks, and a plain user may not look into others' processes: both are
//! passed over, so an empty answer means 'none that can be seen'.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, FileType, StatxFlags, statx};
use serde::{Deserialize, Serialize};

use crate::open_files::FileId;
use crate::{BlockdevError, DeviceNumber, mounts, wait_until};

/// Whoever has a file open for longer than this uses it.
const GLANCE: Duration = Duration::from_millis(30);

/// A process, as an administrator would look for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessRef {
    /// Process id.
    pub pid: u32,
    /// Its name as `ps` shows it.
    pub name: String,
}

impl fmt::Display for ProcessRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}

/// Processes with their directory, root, program, an open file or a mapping on what is mounted at `path`.
/// Empty when nothing is mounted there.
///
/// # Errors
/// The mount table or `/proc` cannot be read.
pub fn holders_of_mount(path: &Path) -> Result<Vec<ProcessRef>, BlockdevError> {
    let Some(mount) = mounts::mount_at(path)? else { return Ok(Vec::new()) };
    let own = OwnProcess::find();
    processes(|proc_dir| {
        if own.is_starting(proc_dir) {
            return false;
        }
        let by_link =
            links(proc_dir, &["cwd", "root", "exe"]).chain(descriptors(proc_dir)).any(|object| {
                match object.mount_id {
                    Some(id) => id == mount.id,
                    None => object.file_system == mount.device,
                }
            });
        by_link || maps_file_below(proc_dir, &mount.mount_point, mount.device)
    })
}

/// Processes, other than this one, that have the block device open. Programs that only ever glance at a new
/// device (udev, blkid, losetup) are not counted.
///
/// # Errors
/// `/proc` cannot be read.
pub fn openers_of_device(number: DeviceNumber) -> Result<Vec<ProcessRef>, BlockdevError> {
    openers(|object| object.device == Some((FileType::BlockDevice, number)))
}

/// Processes, other than this one, that have the file open or mapped. A device node stands for its device: whoever opened it through
/// another node has it open too, as containers and virtual machines do, which have a `/dev` of their own.
///
/// # Errors
/// The file or `/proc` cannot be read.
pub fn openers_of_file(path: &Path) -> Result<Vec<ProcessRef>, BlockdevError> {
    let file = object_at(path).map_err(|error| {
        BlockdevError::from_io(path, "look at the file", std::io::Error::from(error))
    })?;
    let is_it = |object: &Object| match (file.device, object.device) {
        (Some(device), Some(other)) => device == other,
        (None, None) => (object.file_system, object.inode) == (file.file_system, file.inode),
        _ => false,
    };
    users(|proc_dir| {
        descriptors(proc_dir).any(|object| is_it(&object))
            || maps_file(proc_dir, file.file_system, file.inode)
    })
}

fn openers(wanted: impl Fn(&Object) -> bool) -> Result<Vec<ProcessRef>, BlockdevError> {
    users(|proc_dir| descriptors(proc_dir).any(|object| wanted(&object)))
}

fn users(uses: impl Fn(&Path) -> bool) -> Result<Vec<ProcessRef>, BlockdevError> {
    const GLANCERS: [&str; 5] = ["systemd-udevd", "(udev-worker)", "udevd", "blkid", "losetup"];
    let own = OwnProcess::find();
    let has_it = |proc_dir: &Path| !own.is_or_is_starting(proc_dir) && uses(proc_dir);
    let mut found = processes(has_it)?;
    found.retain(|process| !GLANCERS.contains(&process.name.as_str()));
    // Others glance too, this crate in other programs among them. Who uses it, keeps it.
    wait_until(GLANCE, || {
        found.retain(|process| has_it(&PathBuf::from(format!("/proc/{}", process.pid))));
        found.is_empty().then_some(())
    });
    Ok(found)
}

/// This process, and the children that it is about to start: until they execute their own program they hold
/// copies of our descriptors, which are no use of anybody's.
struct OwnProcess {
    pid: String,
    program: Option<(DeviceNumber, u64)>,
}

impl OwnProcess {
    fn find() -> Self {
        let pid = std::process::id().to_string();
        Self { pid, program: program(Path::new("/proc/self")) }
    }

    fn is_or_is_starting(&self, proc_dir: &Path) -> bool {
        proc_dir.file_name() == Some(self.pid.as_ref()) || self.is_starting(proc_dir)
    }

    fn is_starting(&self, proc_dir: &Path) -> bool {
        if parent(proc_dir).is_none_or(|parent| parent != self.pid) {
            return false;
        }
        // Descriptors outlive the old program for an instant, and the name of the thread that forked outlives both.
        (self.program.is_some() && program(proc_dir) == self.program)
            || fs::read(proc_dir.join("comm")).is_ok_and(|name| self.has_thread(&name))
    }

    fn has_thread(&self, name: &[u8]) -> bool {
        let threads = Path::new("/proc").join(&self.pid).join("task");
        fs::read_dir(threads)
            .into_iter()
            .flatten()
            .flatten()
            .any(|thread| fs::read(thread.path().join("comm")).is_ok_and(|comm| comm == name))
    }
}

/// Repeats what was refused as busy as long as `holders` finds nobody to blame, but not for ever.
///
/// A child that this program is starting holds copies of our descriptors until its exec has ended, and so keeps
/// for a moment what we let go of. Each look at `/proc` takes longer than that moment.
///
/// # Errors
/// Those of `attempt`.
pub fn past_own_children<T, E>(
    mut attempt: impl FnMut() -> Result<T, E>,
    is_busy: impl Fn(&E) -> bool,
    holders: impl Fn() -> Result<Vec<ProcessRef>, BlockdevError>,
) -> Result<T, E> {
    const LOOKS: usize = 12;
    for _ in 0..LOOKS {
        match attempt() {
            Err(error) if is_busy(&error) => {
                if !holders().is_ok_and(|found| found.is_empty()) {
                    return Err(error);
                }
            }
            done => return done,
        }
    }
    attempt()
}

fn program(proc_dir: &Path) -> Option<(DeviceNumber, u64)> {
    object_at(&proc_dir.join("exe")).ok().map(|object| (object.file_system, object.inode))
}

/// Parent process id: second field after the name, which may itself hold blanks and brackets.
fn parent(proc_dir: &Path) -> Option<String> {
    let stat = fs::read(proc_dir.join("stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(1).map(str::to_owned)
}

/// What a link below `/proc/<pid>` leads to.
struct Object {
    file_system: DeviceNumber,
    inode: u64,
    mount_id: Option<u64>,
    /// Of a device node: what sort, and which device it stands for.
    device: Option<(FileType, DeviceNumber)>,
}

fn object_at(path: &Path) -> rustix::io::Result<Object> {
    let wanted = StatxFlags::TYPE | StatxFlags::INO | StatxFlags::MNT_ID;
    // Without the sync a dead network file system elsewhere does not make this hang.
    let facts = statx(CWD, path, AtFlags::STATX_DONT_SYNC, wanted)?;
    let sort = FileType::from_raw_mode(u32::from(facts.stx_mode));
    let is_node = matches!(sort, FileType::BlockDevice | FileType::CharacterDevice);
    let number = DeviceNumber { major: facts.stx_rdev_major, minor: facts.stx_rdev_minor };
    Ok(Object {
        file_system: DeviceNumber { major: facts.stx_dev_major, minor: facts.stx_dev_minor },
        inode: facts.stx_ino,
        mount_id: (facts.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(facts.stx_mnt_id),
        device: is_node.then_some((sort, number)),
    })
}

fn links<'a>(proc_dir: &'a Path, names: &'a [&str]) -> impl Iterator<Item = Object> + 'a {
    names.iter().filter_map(|name| object_at(&proc_dir.join(name)).ok())
}

fn descriptors(proc_dir: &Path) -> impl Iterator<Item = Object> + use<> {
    fs::read_dir(proc_dir.join("fd"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| object_at(&entry.path()).ok())
}

/// `start-end perms offset major:minor inode path`, numbers of the device in hexadecimal.
fn maps_file_below(proc_dir: &Path, mount_point: &Path, device: DeviceNumber) -> bool {
    let Ok(maps) = fs::read(proc_dir.join("maps")) else { return false };
    String::from_utf8_lossy(&maps).lines().any(|line| {
        let mut fields = line.split_ascii_whitespace().skip(3);
        let on_device = fields.next().and_then(hex_number) == Some(device);
        // The path is the rest of the line and may hold blanks.
        on_device
            && line.find('/').is_some_and(|at| Path::new(&line[at..]).starts_with(mount_point))
    })
}

fn maps_file(proc_dir: &Path, device: DeviceNumber, inode: u64) -> bool {
    let Ok(maps) = fs::read(proc_dir.join("maps")) else { return false };
    let file = FileId { file_system: device, inode };
    String::from_utf8_lossy(&maps).lines().any(|line| mapped_file(line) == Some(file))
}

/// The file of one line of `maps`; memory without a file has inode 0.
pub(crate) fn mapped_file(line: &str) -> Option<FileId> {
    let mut fields = line.split_ascii_whitespace().skip(3);
    let file_system = hex_number(fields.next()?)?;
    Some(FileId { file_system, inode: fields.next()?.parse().ok()? })
}

fn hex_number(field: &str) -> Option<DeviceNumber> {
    let (major, minor) = field.split_once(':')?;
    Some(DeviceNumber {
        major: u32::from_str_radix(major, 16).ok()?,
        minor: u32::from_str_radix(minor, 16).ok()?,
    })
}

fn processes(keep: impl Fn(&Path) -> bool) -> Result<Vec<ProcessRef>, BlockdevError> {
    let mut found: Vec<ProcessRef> = process_dirs()?
        .into_iter()
        .filter(|dir| keep(dir))
        .filter_map(|dir| process(&dir))
        .collect();
    found.sort();
    Ok(found)
}

/// The `/proc/<pid>` directories that exist now.
pub(crate) fn process_dirs() -> Result<Vec<PathBuf>, BlockdevError> {
    let read = fs::read_dir("/proc")
        .map_err(|source| BlockdevError::from_io("/proc", "list the processes", source))?;
    let is_pid = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    Ok(read
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(is_pid))
        .map(|entry| entry.path())
        .collect())
}

pub(crate) fn process(dir: &Path) -> Option<ProcessRef> {
    let pid = dir.file_name()?.to_str()?.parse().ok()?;
    let name = fs::read(dir.join("comm")).unwrap_or_default();
    let name = String::from_utf8_lossy(&name).trim_end().to_owned();
    Some(ProcessRef { pid, name: if name.is_empty() { "unknown".to_owned() } else { name } })
}
