//! Huge pages of one NUMA node: asked for, and read back (R76). The kernel gives as many as it has and calls that success.

use std::path::PathBuf;

use super::super::kernel::Kernel;
use super::super::pci::{Roots, text};
use crate::BdevError;
use crate::provider::NodeHugepages;

pub(super) fn read(roots: &Roots, node: u32) -> Result<u64, BdevError> {
    let path = file(roots, node)?;
    let pages = text(&path).and_then(|text| text.parse().ok());
    pages.ok_or_else(|| BdevError::NotFound { device: path.display().to_string() })
}

/// Sets the numbers of pages of several nodes. When one of them has too few, all are as they were before: what could be had is of no
/// use, and others need the memory.
///
/// # Errors
/// [`BdevError::TooFewHugepages`] with what was got; [`BdevError::NotFound`] for a node that is not there, before anything is changed.
pub(super) fn set_all(
    kernel: &dyn Kernel,
    wanted: &[NodeHugepages],
) -> Result<Vec<NodeHugepages>, BdevError> {
    let before = wanted
        .iter()
        .map(|wanted| Ok(NodeHugepages { pages: read(kernel.roots(), wanted.node)?, ..*wanted }))
        .collect::<Result<Vec<_>, BdevError>>()?;
    let set: Result<Vec<_>, _> = wanted.iter().map(|wanted| set(kernel, *wanted)).collect();
    if set.is_err() {
        for NodeHugepages { node, pages } in before {
            // Whoever reads the numbers again sees whether this helped.
            let _ = file(kernel.roots(), node).map(|path| kernel.write(&path, &pages.to_string()));
        }
    }
    set
}

/// Sets the number of pages of one node. When the kernel has too few of them, the number is as it was before.
///
/// # Errors
/// [`BdevError::TooFewHugepages`] with what was got.
pub(super) fn set(kernel: &dyn Kernel, wanted: NodeHugepages) -> Result<NodeHugepages, BdevError> {
    let NodeHugepages { node, pages } = wanted;
    let path = file(kernel.roots(), node)?;
    let before = read(kernel.roots(), node)?;
    let write = |pages: u64| {
        kernel.write(&path, &pages.to_string()).map_err(|source| {
            BdevError::from_io(&path.display().to_string(), "set the number of huge pages", source)
        })
    };
    if before != pages {
        write(pages)?;
    }
    let set = enough(wanted, read(kernel.roots(), node)?);
    if set.is_err() {
        write(before)?;
    }
    set
}

/// More than asked for are pages somebody uses; that is no lack.
fn enough(wanted: NodeHugepages, got: u64) -> Result<NodeHugepages, BdevError> {
    let NodeHugepages { node, pages: asked } = wanted;
    if got < asked {
        return Err(BdevError::TooFewHugepages { node, asked, got });
    }
    Ok(NodeHugepages { node, pages: got })
}

fn file(roots: &Roots, node: u32) -> Result<PathBuf, BdevError> {
    let kilobytes = default_size_kb(roots)?;
    let place = format!("devices/system/node/node{node}/hugepages/hugepages-{kilobytes}kB");
    Ok(roots.sys.join(place).join("nr_hugepages"))
}

/// The default page size, mostly 2048 kB.
fn default_size_kb(roots: &Roots) -> Result<u64, BdevError> {
    let path = roots.proc.join("meminfo");
    let listing = text(&path).unwrap_or_default();
    let line = listing.lines().find_map(|line| line.strip_prefix("Hugepagesize:"));
    let size = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    size.ok_or_else(|| BdevError::NotFound {
        device: format!("Hugepagesize in {}", path.display()),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn host(pages: &str) -> (tempfile::TempDir, Roots) {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let node = at.join("sys/devices/system/node/node1/hugepages/hugepages-2048kB");
        fs::create_dir_all(&node).unwrap();
        fs::create_dir_all(at.join("proc")).unwrap();
        fs::write(at.join("proc/meminfo"), "MemTotal: 1 kB\nHugepagesize:    2048 kB\n").unwrap();
        fs::write(node.join("nr_hugepages"), pages).unwrap();
        let roots = Roots { sys: at.join("sys"), dev: at.join("dev"), proc: at.join("proc") };
        (directory, roots)
    }

    #[test]
    fn fewer_pages_than_asked_for_are_an_error_that_says_how_many() {
        let wanted = NodeHugepages { node: 1, pages: 64 };
        let few = enough(wanted, 10).unwrap_err();
        assert!(matches!(few, BdevError::TooFewHugepages { node: 1, asked: 64, got: 10 }));
        assert_eq!(enough(wanted, 70).unwrap().pages, 70, "pages in use");
    }

    #[test]
    fn pages_are_set_on_the_node_that_was_named() {
        let (_directory, roots) = host("3\n");
        assert_eq!(read(&roots, 1).unwrap(), 3);
        let set = set(&roots, NodeHugepages { node: 1, pages: 64 }).unwrap();
        assert_eq!(set, NodeHugepages { node: 1, pages: 64 });
        assert!(matches!(read(&roots, 0), Err(BdevError::NotFound { .. })));
    }
}
