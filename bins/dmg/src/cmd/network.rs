//! `network scan`.

use super::partial::Failed;
use crate::cli::NetworkScan;
use crate::json;
use crate::outcome::{Failure, Outcome};
use crate::print;
use crate::session::Session;

pub async fn scan(session: &Session, options: NetworkScan) -> Result<Outcome, Failure> {
    let provider = if options.all { Some("all") } else { options.provider.as_deref() };
    let results = session.client()?.network_scan(provider).await;
    let failed = Failed::of(&results);
    let names = session.host_names();
    Ok(Outcome {
        stdout: print::fabrics(&results, names),
        stderr: failed.table(names),
        response: json::fabrics(&results).into(),
        failure: failed.failure(),
    })
}
