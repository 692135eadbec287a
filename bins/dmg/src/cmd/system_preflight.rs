//! `system preflight`: every host checks itself.

use daos_control::preflight::Severity;

use super::partial::Failed;
use crate::cli::Preflight;
use crate::json;
use crate::outcome::{Failure, Outcome};
use crate::print;
use crate::session::Session;

pub async fn run(session: &Session, options: Preflight) -> Result<Outcome, Failure> {
    let results = session.client()?.preflight().await;
    let mut failed = Failed::of(&results);
    let response = json::preflights(&results, failed.by_text());
    let names = session.host_names();
    let (stdout, stderr) =
        (print::preflights(&results, options.verbose, names), failed.table(names));
    for (host, report) in &results.answers {
        match report.count(Severity::Error) {
            0 => {}
            1 => failed.add(host, "1 check failed"),
            number => failed.add(host, format!("{number} checks failed")),
        }
    }
    Ok(Outcome { stdout, stderr, response: response.into(), failure: failed.failure() })
}
