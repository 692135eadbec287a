//! The configured storage as a format would find it: what it refuses in any case is an error, what waits for `--reformat` a warning.

use super::super::facts::Facts;
use super::super::keys::Asked;
use super::super::rules::Rule;
use super::{Findings, Problem};
use crate::config::{EngineConfig, ScmTier};
use crate::fault::code;
use crate::format::{Foreseen, Refusal, StorageMedium};

const SEEN: &str = "the storage itself";

/// What a format would refuse.
pub(super) fn configured(findings: &mut Findings<'_>, facts: &Facts) {
    let Some(asked) = findings.asked() else { return };
    let engines = match &facts.storage {
        Ok(engines) => engines,
        Err(fault) => {
            let text = fault.description.clone();
            let fix = fault.resolution.clone();
            let problem = Problem::new(Rule::Storage, fault.code, text, fix);
            let key = asked.keys.engine_list;
            return findings.require(problem.at(key).seen("the configuration", &fault.reason));
        }
    };
    for engine in engines {
        let refusals = engine.refusals.iter().filter(|refusal| !has_its_own_rule(refusal));
        let mut clean = engine.refusals.is_empty();
        for refusal in refusals {
            refused(findings, asked, engine, refusal);
            clean = false;
        }
        if clean {
            let text = if engine.formatted { "is formatted" } else { "a format would take it" };
            let subject = format!("engine {}", engine.engine);
            findings.passed(Rule::Storage, &subject, text, SEEN, &engine.scm_mount);
        }
    }
}

/// A persistent memory device that is not there at all is told by `pmem-devices`.
fn has_its_own_rule(refusal: &Refusal) -> bool {
    refusal.fault.code == code::SCM_FORMAT_MISSING_DEVICE
}

fn refused(findings: &mut Findings<'_>, asked: Asked<'_>, engine: &Foreseen, refusal: &Refusal) {
    let fault = &refusal.fault;
    let cause = match fault.reason.is_empty() {
        true => String::new(),
        false => format!(": {}", fault.reason),
    };
    let told = format!("{}{cause}", fault.description);
    let text = match refusal.until_reformat {
        true => format!("a format without --reformat refuses it: {told}"),
        false => told,
    };
    let problem = Problem::new(Rule::Storage, fault.code, text, fault.resolution.clone())
        .about(format!("engine {}", engine.engine))
        .at(key_of(asked, engine.engine, refusal))
        .seen(&refusal.device, if engine.formatted { "formatted" } else { "not formatted" });
    // A controller that was prepared for this user is one that its engine can have: root is needed for the format alone.
    let is_prepared = matches!(fault.code, code::BDEV_NOT_RECORDED | code::BDEV_MAY_NOT_REBIND);
    match refusal.until_reformat || is_prepared {
        true => findings.warn(problem),
        false => findings.require(problem),
    }
}

fn key_of(asked: Asked<'_>, index: u32, refusal: &Refusal) -> String {
    let mut engines = asked.config.engines.iter();
    let has_device = |engine: &EngineConfig| matches!(engine.scm, ScmTier::Dcpm { .. });
    let device = engines.find(|engine| engine.index == index).is_some_and(has_device);
    match refusal.medium {
        StorageMedium::Metadata => "control_metadata.path".to_owned(),
        StorageMedium::Scm if device => asked.storage_key(index, "scm_list"),
        StorageMedium::Scm => asked.storage_key(index, "scm_mount"),
        StorageMedium::Nvme => asked.storage_key(index, "bdev_list"),
    }
}
