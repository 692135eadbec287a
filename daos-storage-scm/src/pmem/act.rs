//! Plans, and carries an accepted plan out: looks again, takes each step (`step`), and tells how far it came.

use super::assemble::block_namespaces;
use super::tools::PmemTools;
use crate::error::ScmError;
use crate::model::{NamespaceMode, PmemFacts, ProvisionOutcome, ProvisionRequest, ProvisionStep};
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
        again: plan.steps().iter().any(|step| matches!(step, ProvisionStep::EnableRegion { .. })),
        reboot_required: plan.reboot_required(),
        goals: after.pending.iter().filter(|goal| wanted(goal.socket)).cloned().collect(),
        namespaces,
        destroyed,
        notices,
    }
}
