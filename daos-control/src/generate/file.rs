//! Writes a proposal into a directory, one file for each host. Never overwrites.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::choose::Proposal;
use super::error::GenerateError;

/// Writes `HOST.yml` for every host of `proposal`; the directory is made when it is missing. Gives the files in order.
///
/// # Errors
/// [`GenerateError::Exists`] before anything is written, or [`GenerateError::Unwritable`].
pub fn write_files(directory: &Path, proposal: &Proposal) -> Result<Vec<PathBuf>, GenerateError> {
    let unwritable =
        |path: &Path, source| GenerateError::Unwritable { path: path.to_owned(), source };
    fs::create_dir_all(directory).map_err(|source| unwritable(directory, source))?;
    let files: Vec<(PathBuf, String)> = proposal
        .configs
        .iter()
        .flat_map(|config| {
            config.hosts.iter().map(|host| (directory.join(name(host)), config.yaml()))
        })
        .collect();
    if let Some((path, _)) = files.iter().find(|(path, _)| path.symlink_metadata().is_ok()) {
        return Err(GenerateError::Exists { path: path.clone() });
    }
    for (path, text) in &files {
        write(path, text).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => GenerateError::Exists { path: path.clone() },
            _ => unwritable(path, source),
        })?;
    }
    File::open(directory)
        .and_then(|open| open.sync_all())
        .map_err(|source| unwritable(directory, source))?;
    Ok(files.into_iter().map(|(path, _)| path).collect())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Host names have nothing else in them; a port becomes part of the name.
fn name(host: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '_' };
    format!("{}.yml", host.chars().map(plain).collect::<String>())
}
