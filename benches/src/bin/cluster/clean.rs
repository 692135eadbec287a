//! `cluster clean`: the directories of runs that failed, or were killed before they could remove theirs. Nothing else of a
//! run outlives it.

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::isolation::{OWNER, PREFIX};

/// Removes the directories whose run has ended.
pub fn clean() -> Result<()> {
    for entry in fs::read_dir(std::env::temp_dir())?.flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let Some(owner) = owner(&entry.path()).filter(|_| is_ours) else { continue };
        if runs(owner) {
            println!("{} is in use by process {owner}", entry.path().display());
            continue;
        }
        fs::remove_dir_all(entry.path())?;
        println!("removed {}", entry.path().display());
    }
    Ok(())
}

fn owner(directory: &Path) -> Option<u32> {
    fs::read_to_string(directory.join(OWNER)).ok()?.trim().parse().ok()
}

/// Whether that process is this program: process numbers are used again.
fn runs(pid: u32) -> bool {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim() == "cluster"
}
