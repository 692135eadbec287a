//! `server set-logmasks`.

use daos_control::client::{HostSet, LogMasks};

use super::partial::Failed;
use crate::cli::SetLogMasks;
use crate::json;
use crate::outcome::{Failure, Outcome};
use crate::session::Session;

pub async fn set_log_masks(session: &Session, options: SetLogMasks) -> Result<Outcome, Failure> {
    let masks =
        LogMasks { masks: options.masks, streams: options.streams, subsystems: options.subsystems };
    let results = session.client()?.set_log_masks(&masks).await;
    let mut failed = Failed::of(&results);
    let mut done = HostSet::default();
    for (host, errors) in &results.answers {
        // Engines without an error answer with an empty text.
        let errors: Vec<&String> = errors.iter().filter(|error| !error.is_empty()).collect();
        for error in &errors {
            failed.add(host, error.as_str());
        }
        if errors.is_empty() {
            done.insert(host.clone());
        }
    }
    let names = session.host_names();
    let stdout = if done.is_empty() {
        String::new()
    } else {
        format!("Log masks set on {}\n", names.set(&done))
    };
    Ok(Outcome {
        stdout,
        stderr: failed.table(names),
        response: json::log_masks(&done, failed.by_text()).into(),
        failure: failed.failure(),
    })
}
