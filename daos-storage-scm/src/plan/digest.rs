//! The plan as a value: shown, digested, accepted.

use std::fmt;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{Draft, Intent, PlanFacts, ScmStep, Wish};
use crate::ScmError;
use crate::model::{ScmForm, ScmObserved, ScmTarget};

/// What a format would do to one target, and all it was decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScmPlan {
    body: Body,
    digest: PlanDigest,
}

/// Everything the digest covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Body {
    schema: &'static str,
    target: ScmTarget,
    intent: Intent,
    facts: PlanFacts,
    form: ScmForm,
    identity: String,
    content: String,
    steps: Vec<ScmStep>,
    destroys: Vec<String>,
    notices: Vec<String>,
    observed: ScmObserved,
}

/// SHA-256 of a plan, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PlanDigest(String);

impl PlanDigest {
    /// A digest as it came over the wire; it is only ever compared.
    pub fn from_hex(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The digest of a value's one JSON form: fields in the order of the type, no blanks.
    pub(super) fn of(value: &impl Serialize) -> Result<Self, ScmError> {
        let bytes = serde_json::to_vec(value).map_err(|error| ScmError::Internal {
            what: format!("a plan that cannot be written down: {error}"),
        })?;
        Ok(Self(Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// The 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlanDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ScmPlan {
    pub(super) fn new(
        wish: Wish<'_>,
        observed: &ScmObserved,
        draft: Draft,
    ) -> Result<Self, ScmError> {
        let body = Body {
            schema: "daos-scm-plan/1",
            target: wish.target.clone(),
            intent: wish.intent,
            facts: wish.facts.clone(),
            form: draft.form,
            identity: draft.identity,
            content: draft.content,
            steps: draft.steps,
            destroys: draft.destroys,
            notices: draft.notices,
            observed: observed.clone(),
        };
        let digest = PlanDigest::of(&body)?;
        Ok(Self { body, digest })
    }

    /// For what it was made.
    #[must_use]
    pub fn target(&self) -> &ScmTarget {
        &self.body.target
    }

    /// How far it may go.
    #[must_use]
    pub fn intent(&self) -> Intent {
        self.body.intent
    }

    /// In which form the SCM will be there.
    #[must_use]
    pub fn form(&self) -> ScmForm {
        self.body.form
    }

    /// Which device, memory or directory it is about.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.body.identity
    }

    /// What is on it now.
    #[must_use]
    pub fn content(&self) -> &str {
        &self.body.content
    }

    /// What will be done, in order.
    #[must_use]
    pub fn steps(&self) -> &[ScmStep] {
        &self.body.steps
    }

    /// What will be lost, one line each; empty when nothing is and no confirmation is called for.
    #[must_use]
    pub fn destroys(&self) -> &[String] {
        &self.body.destroys
    }

    /// What an administrator should know besides.
    #[must_use]
    pub fn notices(&self) -> &[String] {
        &self.body.notices
    }

    /// The observation it was decided on.
    #[must_use]
    pub fn observed(&self) -> &ScmObserved {
        &self.body.observed
    }

    /// What the caller knew.
    #[must_use]
    pub fn facts(&self) -> &PlanFacts {
        &self.body.facts
    }

    /// SHA-256 over all of the above in one canonical form: equal exactly when the plans are.
    #[must_use]
    pub fn digest(&self) -> &PlanDigest {
        &self.digest
    }

    /// Turns the plan into what [`crate::ScmProvider::format`] takes, if `seen` is the digest of this very
    /// plan: the one that was shown to whoever decided.
    ///
    /// # Errors
    /// [`ScmError::PlanChanged`].
    pub fn accept(self, seen: &PlanDigest) -> Result<AcceptedScmPlan, ScmError> {
        if *seen == self.digest {
            return Ok(AcceptedScmPlan { plan: self });
        }
        Err(ScmError::PlanChanged {
            mount_point: self.body.target.mount_point().to_owned(),
            why: format!("its digest is {}, accepted was {seen}", self.digest),
        })
    }
}

impl fmt::Display for ScmPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = &self.body;
        writeln!(
            f,
            "engine {} SCM at {}: {}",
            body.target.engine_index(),
            body.target.mount_point().display(),
            body.identity
        )?;
        writeln!(f, "  now: {}", body.content)?;
        for step in &body.steps {
            writeln!(f, "  step: {step}")?;
        }
        for loss in &body.destroys {
            writeln!(f, "  lost: {loss}")?;
        }
        for notice in &body.notices {
            writeln!(f, "  note: {notice}")?;
        }
        Ok(())
    }
}

/// A plan that was accepted by its digest. Holding one is the proof that a format was decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedScmPlan {
    plan: ScmPlan,
}

impl AcceptedScmPlan {
    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &ScmPlan {
        &self.plan
    }

    /// Refuses when `now` is not what was planned on; a provider's first act in `format` (W9).
    ///
    /// # Errors
    /// [`ScmError::PlanChanged`] naming the difference.
    pub fn still_holds(&self, now: &ScmObserved) -> Result<(), ScmError> {
        let planned = self.plan.observed();
        if planned == now {
            return Ok(());
        }
        Err(ScmError::PlanChanged {
            mount_point: self.plan.target().mount_point().to_owned(),
            why: super::place::difference(planned, now),
        })
    }
}
