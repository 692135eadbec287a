//! The digest of a plan: what an administrator saw is what will be done.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{EnginePlan, Verdict};
use crate::format::{FormatRequest, MetadataPlan};

/// What the digest covers: the request and, for each engine that is formatted, the plans of its storage.
#[derive(Serialize)]
struct Canonical<'a> {
    schema: &'static str,
    reformat: bool,
    replace: bool,
    engines: Vec<CanonicalEngine<'a>>,
}

#[derive(Serialize)]
struct CanonicalEngine<'a> {
    index: u32,
    scm: &'a str,
    bdev: Option<String>,
    metadata: Option<&'a MetadataPlan>,
    system_lost: bool,
}

pub(super) fn digest(request: FormatRequest, engines: &[EnginePlan]) -> String {
    let engines: Vec<CanonicalEngine<'_>> = engines
        .iter()
        .filter_map(|engine| match &engine.verdict {
            Verdict::Format(work) => Some(CanonicalEngine {
                index: engine.index,
                scm: work.scm.digest().as_str(),
                bdev: work.bdev.as_ref().map(|plan| plan.digest().as_str().to_owned()),
                metadata: work.metadata.as_ref(),
                system_lost: engine.system_lost,
            }),
            Verdict::AlreadyFormatted(_) | Verdict::Refused(_) => None,
        })
        .collect();
    if engines.is_empty() {
        return String::new();
    }
    let canonical = Canonical {
        schema: "daos-format-plan/1",
        reformat: request.reformat,
        replace: request.replace,
        engines,
    };
    let mut hasher = Sha256::new();
    match serde_json::to_vec(&canonical) {
        Ok(bytes) => hasher.update(bytes),
        // Only paths that are not UTF-8 cannot be serialised; their debug form tells them apart as well.
        Err(_) => canonical.engines.iter().for_each(|engine| {
            hasher.update(format!("{:?} {:?} {:?}", engine.scm, engine.bdev, engine.metadata));
        }),
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
