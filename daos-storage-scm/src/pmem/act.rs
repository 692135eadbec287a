//! Takes the steps of an accepted plan. Each step makes sure that it still is about the same thing, and is read back.

use super::assemble::block_namespaces;
use super::tools::PmemTools;
use crate::error::ScmError;
use crate::model::{
    Labels, MemoryGoal, NamespaceMode, PmemFacts, ProvisionOutcome, ProvisionRequest,
    ProvisionStep, RegionFacts,
};
use crate::plan::{AcceptedProvision, ProvisionPlan, plan_provision};
use crate::provider::StepObserver;

impl PmemTools {
    /// Observes and plans. Changes nothing.
    pub(crate) async fn plan(&self, request: &ProvisionRequest) -> Result<ProvisionPlan, ScmError> {
        plan_provision(request, &self.look_closely().await?)
    }

    /// Observes again, refuses what is not as it was accepted, takes each step and reads it back.
    pub(crate) async fn provision(
        &self,
        accepted: AcceptedProvision,
        steps: &dyn StepObserver,
    ) -> Result<ProvisionOutcome, ScmError> {
        let plan = accepted.plan();
        let now = self.look_closely().await?;
        accepted.still_holds(&now)?;
        let needs_ndctl = plan.steps().iter().any(|step| {
            !matches!(step, ProvisionStep::DeleteGoals { .. } | ProvisionStep::CreateGoal { .. })
        });
        if needs_ndctl {
            // Found missing half way, it would leave neither the old state nor the new one.
            self.namespaces.require().await?;
        }
        let mut destroyed = Vec::new();
        for step in plan.steps() {
            tracing::debug!(step = step.name(), "{step}");
            steps.step(&step.to_string());
            self.take(step).await?;
            if let ProvisionStep::DestroyNamespace { name, .. } = step {
                destroyed.push(name.clone());
            }
        }
        let after = self.look_closely().await?;
        Ok(outcome(plan, &after, destroyed))
    }

    async fn take(&self, step: &ProvisionStep) -> Result<(), ScmError> {
        let before = self.look().await?;
        match step {
            ProvisionStep::InitialiseLabels { region, dimms } => {
                let found = region_named(&before, region)?;
                if found.labels != Labels::Missing || found.dimms != *dimms {
                    return Err(changed(region, "it has labels now, or other modules"));
                }
                for space in &found.namespaces {
                    self.require_unused(space.blockdev.as_deref()).await?;
                }
                self.namespaces.initialise_labels(region, dimms).await?;
                labels_made(&self.look().await?, region)
            }
            ProvisionStep::CreateNamespace { region, modules, size_bytes } => {
                let found = region_named(&before, region)?;
                if found.modules != *modules || found.region.free_capacity < *size_bytes {
                    return Err(changed(region, "it is another region, or has less capacity"));
                }
                self.namespaces.create(region, *size_bytes).await?;
                namespace_made(found, region_named(&self.look().await?, region)?, *size_bytes)
            }
            ProvisionStep::DestroyNamespace { name, uuid, blockdev } => {
                let spaces = |facts: &PmemFacts| {
                    let all = facts.regions.iter().flat_map(|region| &region.namespaces);
                    all.filter(|space| space.name == *name && space.uuid == *uuid).count()
                };
                if spaces(&before) != 1 {
                    return Err(changed(name, &format!("it no longer is {uuid}")));
                }
                self.require_unused(blockdev.as_deref()).await?;
                self.namespaces.destroy(name, blockdev.as_deref()).await?;
                match spaces(&self.look().await?) {
                    0 => Ok(()),
                    _ => Err(read_back(name, "it still is there")),
                }
            }
            ProvisionStep::DeleteGoals { socket } => {
                self.modules.delete_goals(&modules_of(&before, *socket)).await?;
                match goals_of(&self.look().await?, *socket).is_empty() {
                    true => Ok(()),
                    false => Err(read_back(&socket_name(*socket), "goals still are there")),
                }
            }
            ProvisionStep::CreateGoal { socket, goal } => {
                self.modules.create_goal(&modules_of(&before, *socket), *goal).await?;
                let after = self.look().await?;
                let set = goals_of(&after, *socket);
                match !set.is_empty() && set.iter().all(|each| *each == Some(*goal)) {
                    true => Ok(()),
                    false => Err(read_back(&socket_name(*socket), &format!("goals are {set:?}"))),
                }
            }
        }
    }

    async fn require_unused(&self, blockdev: Option<&str>) -> Result<(), ScmError> {
        let Some(device) = blockdev else { return Ok(()) };
        crate::plan::refuse_used_namespace(device, &self.namespaces.uses(device).await?)
    }
}

fn region_named<'a>(facts: &'a PmemFacts, name: &str) -> Result<&'a RegionFacts, ScmError> {
    let found = facts.regions.iter().find(|region| region.name.as_deref() == Some(name));
    found.ok_or_else(|| changed(name, "it is gone"))
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

fn namespace_made(before: &RegionFacts, after: &RegionFacts, size: u64) -> Result<(), ScmError> {
    let new: Vec<_> = after
        .namespaces
        .iter()
        .filter(|space| before.namespaces.iter().all(|old| old.uuid != space.uuid))
        .collect();
    let [made] = new.as_slice() else {
        let why = format!("{} namespaces were made instead of 1", new.len());
        return Err(read_back(&after.shown(), &why));
    };
    if made.mode != NamespaceMode::Fsdax || made.blockdev.is_none() {
        let why = format!("it is {}, device {:?}", made.mode, made.blockdev);
        return Err(read_back(&made.shown(), &why));
    }
    let taken = before.region.free_capacity.saturating_sub(after.region.free_capacity);
    if taken != size {
        return Err(read_back(&made.shown(), &format!("it took {taken} bytes instead of {size}")));
    }
    Ok(())
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

fn outcome(plan: &ProvisionPlan, after: &PmemFacts, destroyed: Vec<String>) -> ProvisionOutcome {
    let socket = plan.request().socket();
    let wanted = |each: u32| socket.is_none_or(|socket| socket == each);
    let mut notices = plan.notices().to_vec();
    let created =
        plan.steps().iter().any(|step| matches!(step, ProvisionStep::CreateNamespace { .. }));
    let spaces = after
        .regions
        .iter()
        .filter(|region| wanted(region.region.socket))
        .flat_map(|region| &region.namespaces);
    for space in spaces.filter(|_| created) {
        if let Some(content) = &space.used.content {
            notices
                .push(format!("{} holds {content}: a plain format will refuse it", space.shown()));
        }
    }
    let mut namespaces = block_namespaces(after, socket);
    namespaces.retain(|space| space.mode == NamespaceMode::Fsdax);
    namespaces.sort_by(|a, b| a.blockdev.cmp(&b.blockdev));
    ProvisionOutcome {
        verdict: plan.verdict(),
        reboot_required: plan.reboot_required(),
        goals: after.pending.iter().filter(|goal| wanted(goal.socket)).cloned().collect(),
        namespaces,
        destroyed,
        notices,
    }
}
