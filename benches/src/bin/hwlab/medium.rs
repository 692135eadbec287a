//! The files behind emulated drives, looked at from outside: what a guest cannot lie about.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Bytes at either end that are filled: more than an erase of both ends reaches.
const FILLED: u64 = 6 << 20;
const CHUNK: usize = 1 << 20;

/// Fills both ends of a medium with a text that is nowhere else.
pub fn fill(path: &Path, marker: &str) -> Result<()> {
    let size = size(path)?;
    for (start, end) in [(0, FILLED.min(size)), (size.saturating_sub(FILLED), size)] {
        write(path, marker, start, end)?;
    }
    Ok(())
}

/// Writes the text over a part of a medium.
pub fn write(path: &Path, marker: &str, start: u64, end: u64) -> Result<()> {
    let text: Vec<u8> = marker.bytes().chain([b'\n']).cycle().take(CHUNK).collect();
    let file = open(path, true)?;
    let mut at = start;
    while at < end {
        let length = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
        file.write_all_at(&text[..length], at)?;
        at += length as u64;
    }
    Ok(())
}

/// Whether the text is anywhere on a medium.
pub fn holds(path: &Path, marker: &str) -> Result<bool> {
    let marker = marker.as_bytes();
    let mut found = false;
    chunks(path, 0, |chunk| {
        found |= chunk.windows(marker.len()).any(|window| window == marker);
    })?;
    Ok(found)
}

/// A number that stands for everything on a medium from this byte on.
pub fn fingerprint(path: &Path, from: u64) -> Result<u64> {
    use std::hash::Hasher as _;
    let mut hasher = std::hash::DefaultHasher::new();
    chunks(path, from, |chunk| hasher.write(chunk))?;
    Ok(hasher.finish())
}

fn chunks(path: &Path, from: u64, mut each: impl FnMut(&[u8])) -> Result<()> {
    let file = open(path, false)?;
    let mut buffer = vec![0; CHUNK];
    let mut at = from;
    loop {
        let read = file.read_at(&mut buffer, at)?;
        if read == 0 {
            return Ok(());
        }
        each(&buffer[..read]);
        at += read as u64;
    }
}

fn size(path: &Path) -> Result<u64> {
    Ok(open(path, false)?.metadata()?.len())
}

fn open(path: &Path, write: bool) -> Result<File> {
    let opened = File::options().read(true).write(write).open(path);
    opened.with_context(|| path.display().to_string())
}
