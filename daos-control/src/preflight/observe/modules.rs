//! Which kernel modules are loaded, built in, or installed for the running kernel.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Roots, text};
use crate::preflight::{ModuleState, Modules};

/// The modules that some rule asks for, each with a directory of sysfs that exists once it works.
const WANTED: [(&str, Option<&str>); 5] = [
    ("vfio_pci", Some("bus/pci/drivers/vfio-pci")),
    ("vfio_iommu_type1", None),
    ("uio_pci_generic", Some("bus/pci/drivers/uio_pci_generic")),
    ("nd_pmem", Some("bus/nd/drivers/nd_pmem")),
    ("ext4", Some("fs/ext4")),
];

/// Looks for all of them.
pub(super) fn find(roots: &Roots) -> Modules {
    let release = text(&roots.proc.join("sys/kernel/osrelease")).unwrap_or_default();
    let filesystems = text(&roots.proc.join("filesystems")).unwrap_or_default();
    let is_filesystem =
        |name: &str| filesystems.lines().any(|line| line.split_whitespace().last() == Some(name));
    let loaded = |name: &str, works: Option<&str>| {
        roots.sys.join("module").join(name).is_dir()
            || works.is_some_and(|place| roots.sys.join(place).is_dir())
            || is_filesystem(name)
    };
    let mut modules = Modules { release, ..Modules::default() };
    // Installed modules are a long list, read only when something is not loaded.
    let mut installed = None;
    for (name, works) in WANTED {
        let state = if loaded(name, works) {
            ModuleState::Loaded
        } else {
            let place = roots.modules.join(&modules.release);
            installed.get_or_insert_with(|| Installed::read(&place)).state(name)
        };
        modules.states.insert(name, state);
    }
    modules
}

/// What the package of the kernel brought along.
struct Installed {
    built_in: BTreeSet<String>,
    loadable: BTreeSet<String>,
}

impl Installed {
    fn read(directory: &Path) -> Self {
        let list = |file: &str| {
            let lines = text(&directory.join(file)).unwrap_or_default();
            lines.lines().filter_map(module_name).collect()
        };
        Self { built_in: list("modules.builtin"), loadable: list("modules.dep") }
    }

    fn state(&self, name: &str) -> ModuleState {
        if self.built_in.contains(name) {
            ModuleState::Loaded
        } else if self.loadable.contains(name) {
            ModuleState::Loadable
        } else {
            ModuleState::Missing
        }
    }
}

/// `kernel/drivers/vfio/pci/vfio-pci.ko.xz: …` is `vfio_pci`.
fn module_name(line: &str) -> Option<String> {
    let path = line.split(':').next()?;
    let (name, _) = path.rsplit('/').next()?.split_once(".ko")?;
    Some(name.replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::module_name;

    #[test]
    fn a_line_of_the_kernels_list_names_a_module() {
        let name = |line| module_name(line).unwrap();
        assert_eq!(name("kernel/drivers/vfio/pci/vfio-pci.ko.xz: kernel/x/vfio.ko.xz"), "vfio_pci");
        assert_eq!(name("kernel/fs/ext4/ext4.ko"), "ext4");
        assert_eq!(module_name("nonsense"), None);
    }
}
