//! The two tools of persistent memory over a simulated host.
//!
//! What the hardware does is in `hardware`; here it meets the disks of the world and the script of failures.

use async_trait::async_trait;

use super::SimScm;
use super::hardware::{Hardware, missing};
use crate::error::{LIBIPMCTL, ScmError};
use crate::model::{MemoryGoal, NamespaceUse};
use crate::pmem::{BusView, ModuleTool, NamespaceTool, ToolVersion, VendorView};

impl SimScm {
    pub(super) fn boot_hardware(&self) {
        self.change_hardware(|hardware| {
            hardware.boots += 1;
            hardware.enable_all();
            hardware.apply_goals();
        });
    }

    /// Changes the hardware. What is on a disk that no longer shows stays with its namespace, or, where that is gone,
    /// with the place it had in its region.
    pub(super) fn change_hardware<T>(&self, change: impl FnOnce(&mut Hardware) -> T) -> T {
        let mut inner = self.lock();
        let before = inner.hardware.disks();
        let done = change(&mut inner.hardware);
        let after = inner.hardware.disks();
        let gone = before.into_iter().filter(|old| !after.iter().any(|new| new.is_same(old)));
        for old in gone.collect::<Vec<_>>() {
            let content = inner.world.take_disk(&old.path());
            inner.hardware.keep(&old, content);
        }
        for disk in inner.hardware.disks() {
            inner.world.show_disk(&disk.path(), disk.size, &disk.content);
        }
        done
    }
}

#[async_trait]
impl ModuleTool for SimScm {
    async fn look(&self) -> Result<VendorView, ScmError> {
        self.lock().hardware.vendor()
    }

    async fn create_goal(&self, modules: &[String], goal: MemoryGoal) -> Result<(), ScmError> {
        let mut inner = self.lock();
        inner.script.fail("create-goal")?;
        inner.hardware.set_goal(modules, goal)
    }

    async fn delete_goals(&self, modules: &[String]) -> Result<(), ScmError> {
        let mut inner = self.lock();
        inner.script.fail("delete-goals")?;
        inner.hardware.pending.retain(|pending| !modules.contains(&pending.module));
        Ok(())
    }

    async fn version(&self) -> ToolVersion {
        let version = self.lock().hardware.ipmctl.clone();
        ToolVersion { tool: LIBIPMCTL, version, problem: None }
    }
}

#[async_trait]
impl NamespaceTool for SimScm {
    async fn look(&self) -> Result<BusView, ScmError> {
        Ok(self.lock().hardware.bus())
    }

    async fn uses(&self, blockdev: &str) -> Result<NamespaceUse, ScmError> {
        self.lock().world.disk_use(&std::path::Path::new("/dev").join(blockdev))
    }

    async fn require(&self) -> Result<(), ScmError> {
        match self.lock().hardware.ndctl {
            true => Ok(()),
            false => Err(missing("ndctl")),
        }
    }

    async fn create(&self, region: &str, size_bytes: u64) -> Result<(), ScmError> {
        self.lock().script.fail("create-namespace")?;
        self.change_hardware(|hardware| hardware.create(region, size_bytes))
    }

    async fn enable_region(&self, region: &str) -> Result<(), ScmError> {
        self.lock().script.fail("enable-region")?;
        self.change_hardware(|hardware| hardware.enable(region))
    }

    async fn wipe(&self, blockdev: &str) -> Result<(), ScmError> {
        let mut inner = self.lock();
        let path = std::path::Path::new("/dev").join(blockdev);
        let used = inner.world.disk_use(&path)?;
        crate::plan::require_unused_device(blockdev, blockdev, &used)?;
        inner.world.wipe_disk(&path)
    }

    async fn destroy(&self, name: &str, blockdev: &str) -> Result<(), ScmError> {
        self.lock().script.fail("destroy-namespace")?;
        self.wipe(blockdev).await?;
        self.change_hardware(|hardware| hardware.destroy(name))
    }

    /// The three commands of ndctl; a failure of the script between them is a crash, after which no region is enabled.
    async fn initialise_labels(&self, region: &str, _dimms: &[String]) -> Result<(), ScmError> {
        self.lock().script.fail("initialise-labels")?;
        self.change_hardware(|hardware| hardware.disable(region))?;
        self.lock().script.fail("init-labels")?;
        self.change_hardware(|hardware| hardware.initialise(region))?;
        self.enable_region(region).await
    }

    async fn version(&self) -> ToolVersion {
        let version = self.lock().hardware.ndctl.then(|| "76".to_owned());
        ToolVersion { tool: "ndctl", version, problem: None }
    }
}
