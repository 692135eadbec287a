//! A plan for the modules themselves, shown and accepted like one for a format. `decide` and `reset` make it of facts.

mod decide;
mod guard;
mod reset;
mod socket;

use std::fmt;

use serde::Serialize;

use super::PlanDigest;
use crate::ScmError;
use crate::model::{PmemFacts, ProvisionRequest, ProvisionStep, ProvisionVerdict};

pub use decide::plan_provision;
pub(crate) use guard::require_unused_device;
pub use socket::socket_state;

/// What provisioning would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvisionPlan {
    body: Body,
    digest: PlanDigest,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Body {
    schema: &'static str,
    request: ProvisionRequest,
    draft: ProvisionDraft,
    observed: PmemFacts,
}

/// What was decided: steps and what they come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProvisionDraft {
    /// What it comes to.
    pub verdict: ProvisionVerdict,
    /// In order; none when nothing is to be done.
    pub steps: Vec<ProvisionStep>,
    /// What is lost, one line each.
    pub destroys: Vec<String>,
    /// What an administrator should know besides.
    pub notices: Vec<String>,
    /// Goals take effect at the next reboot, set by these steps or before.
    pub reboot_required: bool,
}

impl ProvisionPlan {
    /// A plan as it was decided on these facts.
    ///
    /// # Errors
    /// [`ScmError::Internal`] when a step destroys and no loss is named.
    pub fn new(
        request: ProvisionRequest,
        draft: ProvisionDraft,
        observed: PmemFacts,
    ) -> Result<Self, ScmError> {
        if draft.destroys.is_empty() && draft.steps.iter().any(ProvisionStep::is_destructive) {
            let what = "a plan that destroys without saying what".to_owned();
            return Err(ScmError::Internal { what });
        }
        let body = Body { schema: "daos-scm-provision/3", request, draft, observed };
        let digest = PlanDigest::of(&body)?;
        Ok(Self { body, digest })
    }

    /// What was asked for.
    #[must_use]
    pub fn request(&self) -> &ProvisionRequest {
        &self.body.request
    }

    /// What it comes to.
    #[must_use]
    pub fn verdict(&self) -> ProvisionVerdict {
        self.body.draft.verdict
    }

    /// What will be done, in order.
    #[must_use]
    pub fn steps(&self) -> &[ProvisionStep] {
        &self.body.draft.steps
    }

    /// What will be lost, one line each; when there is something, consent is called for (R134).
    #[must_use]
    pub fn destroys(&self) -> &[String] {
        &self.body.draft.destroys
    }

    /// What an administrator should know besides.
    #[must_use]
    pub fn notices(&self) -> &[String] {
        &self.body.draft.notices
    }

    /// Whether a reboot is called for, by these steps or by earlier ones.
    #[must_use]
    pub fn reboot_required(&self) -> bool {
        self.body.draft.reboot_required
    }

    /// SHA-256 over all of the above and what was observed.
    #[must_use]
    pub fn digest(&self) -> &PlanDigest {
        &self.digest
    }

    /// Turns the plan into what [`crate::ScmProvider::provision`] takes, if `seen` is its digest.
    ///
    /// # Errors
    /// [`ScmError::PlanChanged`].
    pub fn accept(self, seen: &PlanDigest) -> Result<AcceptedProvision, ScmError> {
        if *seen == self.digest {
            return Ok(AcceptedProvision { plan: self });
        }
        Err(changed(format!("its digest is {}, accepted was {seen}", self.digest)))
    }
}

fn changed(why: String) -> ScmError {
    ScmError::PlanChanged { mount_point: "persistent memory".into(), why }
}

impl fmt::Display for ProvisionPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in self.steps() {
            writeln!(f, "step: {step}")?;
        }
        for loss in self.destroys() {
            writeln!(f, "lost: {loss}")?;
        }
        for notice in self.notices() {
            writeln!(f, "note: {notice}")?;
        }
        Ok(())
    }
}

/// A provisioning plan that was accepted by its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedProvision {
    plan: ProvisionPlan,
}

impl AcceptedProvision {
    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &ProvisionPlan {
        &self.plan
    }

    /// Refuses when `now` is not what was planned on; a provider's first act in `provision`.
    ///
    /// # Errors
    /// [`ScmError::PlanChanged`].
    pub fn still_holds(&self, now: &PmemFacts) -> Result<(), ScmError> {
        if self.plan.body.observed == *now {
            return Ok(());
        }
        let planned = &self.plan.body.observed;
        let what = if planned.regions != now.regions {
            "regions, namespaces or their use"
        } else if planned.pending != now.pending {
            "goals"
        } else {
            "modules"
        };
        Err(changed(format!("{what} are no longer as they were")))
    }
}
