//! The vendor's side of simulated modules: what its library tells of them, and the goals that a reboot makes true.
//!
//! No goal is set over namespaces, and one that is granted makes its regions anew.

use super::hardware::{Hardware, SimRegion, missing};
use crate::error::{LIBIPMCTL, ScmError};
use crate::model::{Labels, MemoryGoal, PendingGoal, RegionHealth};
use crate::pmem::{VendorMemory, VendorRegion, VendorView};

impl Hardware {
    pub(super) fn vendor(&self) -> Result<VendorView, ScmError> {
        let version = self.usable()?;
        if !self.managed {
            return Ok(VendorView { version, ..VendorView::default() });
        }
        let region = |found: &SimRegion| VendorRegion {
            iset_id: found.iset_id,
            socket: found.socket,
            memory: VendorMemory::Persistent,
            capacity: found.capacity,
            free_capacity: found.free(),
            health: found.health,
            module_ids: found.modules.clone(),
        };
        Ok(VendorView {
            version,
            modules: self.modules.clone(),
            regions: self.regions.iter().map(region).collect(),
            pending: self.pending.clone(),
        })
    }

    fn usable(&self) -> Result<String, ScmError> {
        match self.ipmctl.as_deref() {
            None => Err(missing(LIBIPMCTL)),
            Some(bad @ "02.00.00.3809") => Err(ScmError::BadToolVersion {
                tool: LIBIPMCTL.to_owned(),
                version: bad.to_owned(),
            }),
            Some(good) => Ok(good.to_owned()),
        }
    }

    pub(super) fn set_goal(
        &mut self,
        modules: &[String],
        goal: MemoryGoal,
    ) -> Result<(), ScmError> {
        self.usable()?;
        let own = |id: &u32| {
            self.modules.iter().any(|each| each.physical_id == *id && modules.contains(&each.uid))
        };
        let blocked = self
            .regions
            .iter()
            .any(|region| !region.namespaces.is_empty() && region.modules.iter().any(own));
        if blocked {
            return Err(ScmError::ToolFailed {
                tool: LIBIPMCTL.to_owned(),
                call: "nvm_create_config_goal",
                code: 124,
                meaning: "namespaces exist on the modules",
            });
        }
        self.pending.retain(|pending| !modules.contains(&pending.module));
        let chosen = self.modules.iter().filter(|module| modules.contains(&module.uid));
        self.pending.extend(chosen.map(|module| PendingGoal {
            socket: module.socket,
            module: module.uid.clone(),
            goal: Some(goal),
            refused: None,
        }));
        Ok(())
    }

    /// What the platform does with goals at a boot: regions anew, all in them gone.
    pub(super) fn apply_goals(&mut self) {
        let (refused, granted): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.pending).into_iter().partition(|each| each.refused.is_some());
        self.pending = refused;
        for pending in granted {
            let Some(module) = self.modules.iter().find(|each| each.uid == pending.module) else {
                continue;
            };
            let (id, socket, capacity) = (module.physical_id, module.socket, module.capacity);
            // A region with this module in it ends, unless it is one of this very boot.
            self.regions.retain(|region| !region.modules.contains(&id));
            if pending.goal != Some(MemoryGoal::AppDirectInterleaved) {
                continue;
            }
            let iset_id = (u64::from(self.boots) << 32) | u64::from(socket + 1);
            match self.regions.iter_mut().find(|region| region.iset_id == iset_id) {
                Some(region) => {
                    region.modules.push(id);
                    region.capacity += capacity;
                }
                None => self.regions.push(SimRegion {
                    iset_id,
                    socket,
                    capacity,
                    modules: vec![id],
                    health: RegionHealth::Normal,
                    disabled: false,
                    labels: Labels::Ready,
                    namespaces: Vec::new(),
                    remains: Vec::new(),
                }),
            }
        }
    }
}
