//! The last step of making a file survive a crash: its directory is synced, after the file was renamed into it or removed from it.
//!
//! Used by every body of this crate that writes files of its own.

use std::fs::File;
use std::io;
use std::path::Path;

/// Syncs the directory that holds `path`.
pub(crate) fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}
