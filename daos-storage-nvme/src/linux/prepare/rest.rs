//! What a prepare changes besides controllers: huge pages, their mount, and owners of files; and how they come back.
//!
//! Called by `Preparation` and its half for controllers. One thing that cannot be restored keeps nothing else from it, and stays in
//! the record for the next reset.

use std::path::{Path, PathBuf};

use super::super::record::RecordedPages;
use super::own::{self, Owner};
use super::{Controllers, Preparation, hugepages};
use crate::BdevError;
use crate::provider::NodeHugepages;

impl Preparation<'_> {
    /// Sets all the numbers of pages or none.
    pub(super) fn set_hugepages(
        &mut self,
        wanted: &[NodeHugepages],
    ) -> Result<Vec<NodeHugepages>, BdevError> {
        let known = self.record.hugepages.len();
        for NodeHugepages { node, .. } in wanted {
            if !self.record.hugepages.iter().any(|before| before.node == *node) {
                let pages = hugepages::read(self.roots(), *node)?;
                self.record.hugepages.push(RecordedPages { node: *node, pages });
            }
        }
        self.save()?;
        let set = hugepages::set_all(self.kernel, wanted);
        if set.is_err() {
            let roots = self.roots();
            let unchanged = |before: &RecordedPages| {
                hugepages::read(roots, before.node).is_ok_and(|pages| pages == before.pages)
            };
            if self.record.hugepages[known..].iter().all(unchanged) {
                self.record.hugepages.truncate(known);
                self.save()?;
            }
        }
        set
    }

    /// Mounts of huge pages go to the owner; there is one afterwards.
    pub(super) fn give_hugepages(&mut self, owner: &Owner) -> Result<(), BdevError> {
        let mut mounts = self.kernel.hugepage_mounts()?;
        if mounts.is_empty() {
            let at = own::default_hugepage_mount(self.roots());
            self.record.mounted = Some(at.clone());
            self.save()?;
            self.kernel.mount_hugepages(&at)?;
            mounts.push(at);
        }
        mounts.iter().try_for_each(|path| self.own(owner, path))
    }

    /// Gives a file to the owner; as it was before, when that fails.
    pub(super) fn own(&mut self, owner: &Owner, path: &Path) -> Result<(), BdevError> {
        let before = own::look(path)?;
        let wanted = own::given(&before, own::is_device(path), owner);
        if before == wanted {
            return Ok(());
        }
        if !self.record.files.iter().any(|recorded| recorded.path == path) {
            self.record.files.push(before.clone());
            self.save()?;
        }
        own::apply(&wanted).inspect_err(|_| {
            // Best effort: what is left of it is in the record.
            let _restored = own::restore(&before);
        })
    }

    /// Huge pages, owners and the mount as they were. Device nodes that went with their driver have nothing to restore. As long as a
    /// program has a controller open it may have huge pages too: all of it stays then, in the record as well.
    pub(super) fn restore_the_rest(&mut self, controllers: &Controllers) -> Result<(), BdevError> {
        let mut failed =
            controllers.iter().filter_map(|(at, result)| Some((at, result.as_ref().err()?)));
        if let Some((address, _)) =
            failed.find(|(_, error)| matches!(***error, BdevError::InUse { .. }))
        {
            self.notices.push(format!(
                "huge pages and owners stay as they are as long as {address} is in use"
            ));
            return self.save();
        }
        self.restore_owners(&self.kernel.hugepage_mounts()?);
        self.restore_mount()?;
        self.restore_hugepages();
        self.save()
    }

    /// A directory on which no huge pages are mounted any more is not what was given away.
    fn restore_owners(&mut self, mounts: &[PathBuf]) {
        for before in std::mem::take(&mut self.record.files) {
            if before.path.is_dir() && !mounts.contains(&before.path) {
                continue;
            }
            if let Err(error) = own::restore(&before) {
                self.notices.push(format!("{error}; the next reset tries again"));
                self.record.files.push(before);
            }
        }
    }

    /// A mount that is busy stays in the record, so that nobody takes it for the host's own.
    fn restore_mount(&mut self) -> Result<(), BdevError> {
        let Some(at) = self.record.mounted.clone() else { return Ok(()) };
        let is_mounted = self.kernel.hugepage_mounts()?.contains(&at);
        match is_mounted.then(|| self.kernel.unmount_hugepages(&at)) {
            Some(Err(busy)) => {
                self.notices.push(format!("{busy}; it stays mounted until the next reset"));
            }
            Some(Ok(())) | None => self.record.mounted = None,
        }
        Ok(())
    }

    fn restore_hugepages(&mut self) {
        for before in std::mem::take(&mut self.record.hugepages) {
            let pages = NodeHugepages { node: before.node, pages: before.pages };
            if let Err(error) = hugepages::set(self.kernel, pages) {
                self.notices.push(format!(
                    "huge pages as before the prepare: {error}; the next reset tries again"
                ));
                self.record.hugepages.push(before);
            }
        }
    }
}
