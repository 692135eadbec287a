//! Single steps of a plan. Each makes sure that it still is about the same thing before it changes it, and reads back
//! what came of it. Called by `act`; decides nothing.

use super::tools::PmemTools;
use crate::error::ScmError;
use crate::model::{
    Labels, MemoryGoal, NamespaceFacts, NamespaceMode, PmemFacts, ProvisionStep, RegionFacts,
};
use crate::plan::require_unused_device;

impl PmemTools {
    pub(super) async fn take(&self, step: &ProvisionStep) -> Result<(), ScmError> {
        match step {
            ProvisionStep::EnableRegion { region, modules } => {
                self.enable_region(region, modules).await
            }
            ProvisionStep::InitialiseLabels { region, dimms, modules } => {
                self.write_labels(region, dimms, modules).await
            }
            ProvisionStep::CreateNamespace { region, modules, size_bytes, wipe } => {
                self.create_namespace(region, modules, *size_bytes, *wipe).await
            }
            ProvisionStep::DestroyNamespace { name, uuid, blockdev } => {
                self.destroy_namespace(name, uuid, blockdev).await
            }
            ProvisionStep::DeleteGoals { socket } => self.delete_goals(*socket).await,
            ProvisionStep::CreateGoal { socket, goal } => self.create_goal(*socket, *goal).await,
        }
    }

    async fn enable_region(&self, name: &str, modules: &[String]) -> Result<(), ScmError> {
        if region_of(&self.look().await?, name, modules)?.disabled {
            self.namespaces.enable_region(name).await?;
        }
        match region_of(&self.look().await?, name, modules)?.disabled {
            false => Ok(()),
            true => Err(read_back(name, "it still is disabled")),
        }
    }

    /// Only over the one raw namespace that modules without labels show, and that nobody uses.
    async fn write_labels(
        &self,
        name: &str,
        dimms: &[String],
        modules: &[String],
    ) -> Result<(), ScmError> {
        let before = self.look().await?;
        let found = region_of(&before, name, modules)?;
        let [space] = found.namespaces.as_slice() else {
            return Err(changed(name, "it has other namespaces"));
        };
        let raw = space.mode == NamespaceMode::Raw && !found.disabled;
        if found.labels != Labels::Missing || found.dimms != dimms || !raw {
            return Err(changed(name, "it has labels now, or is used otherwise"));
        }
        self.require_unused(&space.name, space.blockdev.as_deref()).await?;
        self.namespaces.initialise_labels(name, dimms).await?;
        labels_made(&self.look().await?, name)
    }

    async fn create_namespace(
        &self,
        region: &str,
        modules: &[String],
        size_bytes: u64,
        wipe: bool,
    ) -> Result<(), ScmError> {
        let before = self.look().await?;
        let found = region_of(&before, region, modules)?;
        if found.region.free_capacity < size_bytes {
            return Err(changed(region, "it has less capacity"));
        }
        self.namespaces.create(region, size_bytes).await?;
        let after = self.look().await?;
        let made = namespace_made(found, region_named(&after, region)?, size_bytes)?;
        match wipe {
            true => self.namespaces.wipe(made).await,
            false => Ok(()),
        }
    }

    async fn destroy_namespace(
        &self,
        name: &str,
        uuid: &str,
        blockdev: &str,
    ) -> Result<(), ScmError> {
        match namespaces_of(&self.look().await?, name, uuid).as_slice() {
            [one] if one.blockdev.as_deref() == Some(blockdev) => {}
            _ => return Err(changed(name, &format!("it no longer is {uuid} at /dev/{blockdev}"))),
        }
        self.require_unused(name, Some(blockdev)).await?;
        self.namespaces.destroy(name, blockdev).await?;
        match namespaces_of(&self.look().await?, name, uuid).is_empty() {
            true => Ok(()),
            false => Err(read_back(name, "it still is there")),
        }
    }

    async fn delete_goals(&self, socket: u32) -> Result<(), ScmError> {
        self.modules.delete_goals(&modules_of(&self.look().await?, socket)).await?;
        match goals_of(&self.look().await?, socket).is_empty() {
            true => Ok(()),
            false => Err(read_back(&socket_name(socket), "goals still are there")),
        }
    }

    async fn create_goal(&self, socket: u32, goal: MemoryGoal) -> Result<(), ScmError> {
        self.modules.create_goal(&modules_of(&self.look().await?, socket), goal).await?;
        let set = goals_of(&self.look().await?, socket);
        match !set.is_empty() && set.iter().all(|each| *each == Some(goal)) {
            true => Ok(()),
            false => Err(read_back(&socket_name(socket), &format!("goals are {set:?}"))),
        }
    }

    async fn require_unused(&self, name: &str, blockdev: Option<&str>) -> Result<(), ScmError> {
        let Some(device) = blockdev else {
            return Err(changed(name, "it has no block device any more"));
        };
        require_unused_device(name, device, &self.namespaces.uses(device).await?)
    }
}

fn namespaces_of<'a>(facts: &'a PmemFacts, name: &str, uuid: &str) -> Vec<&'a NamespaceFacts> {
    let all = facts.regions.iter().flat_map(|region| &region.namespaces);
    all.filter(|space| space.name == name && space.uuid == uuid).collect()
}

fn region_named<'a>(facts: &'a PmemFacts, name: &str) -> Result<&'a RegionFacts, ScmError> {
    let found = facts.regions.iter().find(|region| region.name.as_deref() == Some(name));
    found.ok_or_else(|| changed(name, "it is gone"))
}

/// The same, if it still is of these modules: names are given anew.
fn region_of<'a>(
    facts: &'a PmemFacts,
    name: &str,
    modules: &[String],
) -> Result<&'a RegionFacts, ScmError> {
    let found = region_named(facts, name)?;
    match found.modules == modules {
        true => Ok(found),
        false => Err(changed(name, "it is another region")),
    }
}

fn modules_of(facts: &PmemFacts, socket: u32) -> Vec<String> {
    let own = facts.modules.iter().filter(|module| module.socket == socket);
    own.map(|module| module.uid.clone()).collect()
}

fn goals_of(facts: &PmemFacts, socket: u32) -> Vec<Option<MemoryGoal>> {
    let own = facts.pending.iter().filter(|goal| goal.socket == socket && goal.refused.is_none());
    own.map(|goal| goal.goal).collect()
}

fn labels_made(after: &PmemFacts, name: &str) -> Result<(), ScmError> {
    let region = region_named(after, name)?;
    if region.labels == Labels::Ready && region.is_empty() && region.region.free_capacity > 0 {
        return Ok(());
    }
    let free = region.region.free_capacity;
    Err(read_back(name, &format!("labels are {:?}, {free} bytes are free", region.labels)))
}

/// Block device of the namespace that was made.
fn namespace_made<'a>(
    before: &RegionFacts,
    after: &'a RegionFacts,
    size: u64,
) -> Result<&'a str, ScmError> {
    let new: Vec<_> = after
        .namespaces
        .iter()
        .filter(|space| before.namespaces.iter().all(|old| old.uuid != space.uuid))
        .collect();
    let [made] = new.as_slice() else {
        let why = format!("{} namespaces were made instead of 1", new.len());
        return Err(read_back(&after.shown(), &why));
    };
    let (NamespaceMode::Fsdax, Some(blockdev)) = (made.mode, made.blockdev.as_deref()) else {
        let why = format!("it is {}, device {:?}", made.mode, made.blockdev);
        return Err(read_back(&made.shown(), &why));
    };
    let taken = before.region.free_capacity.saturating_sub(after.region.free_capacity);
    if taken != size {
        return Err(read_back(&made.shown(), &format!("it took {taken} bytes instead of {size}")));
    }
    Ok(blockdev)
}

fn changed(what: &str, why: &str) -> ScmError {
    ScmError::PlanChanged { mount_point: what.into(), why: why.to_owned() }
}

fn read_back(what: &str, why: &str) -> ScmError {
    ScmError::ReadBack { subject: what.to_owned(), why: why.to_owned() }
}

fn socket_name(socket: u32) -> String {
    format!("socket {socket}")
}
