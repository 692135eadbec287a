//! The files behind emulated drives, looked at from outside: what a guest cannot lie about.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Bytes at either end that are filled: more than an erase of both ends reaches.
const FILLED: u64 = 6 << 20;
const CHUNK: usize = 1 << 20;
/// What is looked at together. Most of a medium is zeros, which a comparison passes over much faster than a search.
const BLOCK: usize = 4096;

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
    let text = format!("{marker}\n").repeat(CHUNK / marker.len()).into_bytes();
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
    // Of the block before: the text may begin there.
    let mut end = (0, Vec::new());
    blocks(path, 0, |at, block| {
        let mut text = if end.0 == at { std::mem::take(&mut end.1) } else { Vec::new() };
        text.extend_from_slice(block);
        found = found || text.windows(marker.len()).any(|window| window == marker);
        end = (at + block.len() as u64, text.split_off(text.len().saturating_sub(marker.len())));
    })?;
    Ok(found)
}

/// A number that stands for everything on a medium from this byte on that is not zero, and for where it is.
pub fn fingerprint(path: &Path, from: u64) -> Result<u64> {
    use std::hash::Hasher as _;
    let mut hasher = std::hash::DefaultHasher::new();
    blocks(path, from, |at, block| {
        hasher.write_u64(at);
        hasher.write(block);
    })?;
    Ok(hasher.finish())
}

/// Every block from this byte on that is not all zeros, with its place.
fn blocks(path: &Path, from: u64, mut each: impl FnMut(u64, &[u8])) -> Result<()> {
    let zeros = vec![0; CHUNK];
    let file = open(path, false)?;
    let mut buffer = vec![0; CHUNK];
    let mut at = from;
    loop {
        let read = file.read_at(&mut buffer, at)?;
        if read == 0 {
            return Ok(());
        }
        if buffer[..read] != zeros[..read] {
            let places = (at..).step_by(BLOCK);
            let some = places.zip(buffer[..read].chunks(BLOCK));
            some.filter(|(_, block)| **block != zeros[..block.len()])
                .for_each(|(at, block)| each(at, block));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_a_medium_is_found_wherever_it_is() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("medium");
        File::create(&path).and_then(|file| file.set_len(3 << 20)).expect("a medium");
        let fresh = fingerprint(&path, 0).expect("read");
        assert!(!holds(&path, "marker").expect("read"));
        // Across blocks, across chunks, and at the end.
        for at in [0, 4094, (1 << 20) - 3, (3 << 20) - 6] {
            write(&path, "marker", at, at + 6).expect("written");
            assert!(holds(&path, "marker").expect("read"), "{at}");
            assert!(!holds(&path, "market").expect("read"), "{at}");
            assert_ne!(fingerprint(&path, 0).expect("read"), fresh, "{at}");
            open(&path, true).and_then(|file| Ok(file.write_all_at(&[0; 6], at)?)).expect("zeros");
            assert!(!holds(&path, "marker").expect("read"), "{at}");
            assert_eq!(fingerprint(&path, 0).expect("read"), fresh, "{at}");
        }
        // The same somewhere else is not the same, and what is before the place is left out.
        write(&path, "marker", 4096, 4102).expect("written");
        let one = fingerprint(&path, 0).expect("read");
        assert_eq!(fingerprint(&path, 8192).expect("read"), fresh);
        open(&path, true).and_then(|file| Ok(file.write_all_at(&[0; 6], 4096)?)).expect("zeros");
        write(&path, "marker", 8192, 8198).expect("written");
        assert_ne!(fingerprint(&path, 0).expect("read"), one);
    }
}
