//! `storage scan`.

use daos_control::client::ScanDetail;

use super::partial::Failed;
use crate::cli::StorageScan;
use crate::json;
use crate::outcome::{Failure, Outcome};
use crate::print;
use crate::session::Session;

pub async fn run(session: &Session, options: StorageScan) -> Result<Outcome, Failure> {
    let detail = match (options.nvme_health, options.verbose) {
        (true, _) => ScanDetail::Health,
        (false, true) => ScanDetail::Full,
        (false, false) => ScanDetail::Summary,
    };
    let results = session.client()?.storage_scan(detail).await;
    let mut failed = Failed::of(&results);
    for (host, storage) in &results.answers {
        for problem in &storage.problems {
            failed.add(host, problem);
        }
    }
    let names = session.host_names();
    let stdout = match detail {
        ScanDetail::Health => print::health(&results, names),
        ScanDetail::Full => print::storage_verbose(&results, names),
        ScanDetail::Summary => print::storage(&results, names),
    };
    Ok(Outcome {
        stdout,
        stderr: failed.table(names),
        response: json::scan(&results, failed.by_text()).into(),
        failure: failed.failure(),
    })
}
