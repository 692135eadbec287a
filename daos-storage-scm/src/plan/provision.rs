//! A plan for the modules themselves, shown and accepted like one for a format.

use std::fmt;

use serde::Serialize;

use super::PlanDigest;
use crate::ScmError;
use crate::model::{ProvisionRequest, ProvisionStep};

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
    steps: Vec<ProvisionStep>,
    destroys: Vec<String>,
}

impl ProvisionPlan {
    /// A plan as a provider made it. Each loss is named in `destroys`; no steps means that nothing is to be
    /// done.
    ///
    /// # Errors
    /// [`ScmError::Internal`] when a step destroys and no loss is named, or a path is not text.
    pub fn new(
        request: ProvisionRequest,
        steps: Vec<ProvisionStep>,
        destroys: Vec<String>,
    ) -> Result<Self, ScmError> {
        if destroys.is_empty() && steps.iter().any(ProvisionStep::is_destructive) {
            let what = "a plan that destroys without saying what".to_owned();
            return Err(ScmError::Internal { what });
        }
        let body = Body { schema: "daos-scm-provision/1", request, steps, destroys };
        let digest = PlanDigest::of(&body)?;
        Ok(Self { body, digest })
    }

    /// What was asked for.
    #[must_use]
    pub fn request(&self) -> &ProvisionRequest {
        &self.body.request
    }

    /// What will be done, in order.
    #[must_use]
    pub fn steps(&self) -> &[ProvisionStep] {
        &self.body.steps
    }

    /// What will be lost, one line each.
    #[must_use]
    pub fn destroys(&self) -> &[String] {
        &self.body.destroys
    }

    /// SHA-256 over all of the above.
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
        Err(ScmError::PlanChanged {
            mount_point: "persistent memory".into(),
            why: format!("its digest is {}, accepted was {seen}", self.digest),
        })
    }
}

impl fmt::Display for ProvisionPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.body.steps {
            writeln!(f, "step: {step}")?;
        }
        for loss in &self.body.destroys {
            writeln!(f, "lost: {loss}")?;
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MemoryGoal;

    fn reset(name: &str) -> Result<ProvisionPlan, ScmError> {
        let steps = vec![
            ProvisionStep::DestroyNamespace { name: name.to_owned() },
            ProvisionStep::CreateGoal { socket: None, goal: MemoryGoal::MemoryMode },
        ];
        let destroys = vec![format!("{name} with all that is on it")];
        ProvisionPlan::new(ProvisionRequest::Reset { socket: None }, steps, destroys)
    }

    #[test]
    fn only_the_plan_that_was_seen_is_accepted_r134() {
        let (seen, other) = (reset("namespace0.0"), reset("namespace1.0"));
        let (seen, other) = (seen.expect("plan"), other.expect("plan"));
        assert_ne!(seen.digest(), other.digest());
        let refused = other.accept(seen.digest()).map_err(|error| error.code());
        assert_eq!(refused.err(), Some(1207));
        let digest = seen.digest().clone();
        assert_eq!(seen.accept(&digest).expect("its own").plan().steps().len(), 2);
    }

    #[test]
    fn a_plan_must_name_what_it_destroys() {
        let steps = vec![ProvisionStep::DestroyNamespace { name: "namespace0.0".to_owned() }];
        let plan = ProvisionPlan::new(ProvisionRequest::Reset { socket: None }, steps, Vec::new());
        assert_eq!(plan.map_err(|error| error.code()).err(), Some(200));
    }

    #[test]
    fn a_plan_in_words() {
        let text = reset("namespace0.0").expect("plan").to_string();
        assert_eq!(
            text,
            "step: destroy namespace0.0\nstep: set all sockets to Memory Mode at the next reboot\n\
             lost: namespace0.0 with all that is on it\n"
        );
    }
}
