//! `storage prepare`: the NVMe of many hosts made ready for engines, or given back.

use daos_control::client::{HostResults, NvmePrepare, NvmeReset, PreparedNvme};

use super::partial::Failed;
use crate::cli::StoragePrepare;
use crate::json;
use crate::outcome::{Failure, Outcome};
use crate::print;
use crate::session::Session;

/// Its two passes with a reboot between them, and its consent, are for somebody at the host.
const NO_PMEM: &str = "persistent memory is not prepared from afar: run 'daos_server scm prepare' or 'scm reset' on each host";

pub async fn run(session: &Session, options: StoragePrepare) -> Result<Outcome, Failure> {
    if options.scm_only {
        return Err(Failure::text(NO_PMEM));
    }
    let lists = NvmeReset { allow: options.allow, block: options.block };
    let client = session.client()?;
    let results = if options.reset {
        client.reset_nvme(&lists).await
    } else {
        let (pages, user, disable_vfio) = (options.hugepages, options.user, options.disable_vfio);
        client.prepare_nvme(&NvmePrepare { lists, pages, user, disable_vfio }).await
    };
    let mut outcome = shown(session, &results);
    if !options.nvme_only {
        outcome.stderr.push_str(&format!("dmg: {NO_PMEM}\n"));
    }
    Ok(outcome)
}

fn shown(session: &Session, results: &HostResults<PreparedNvme>) -> Outcome {
    let mut failed = Failed::of(results);
    for (host, prepared) in &results.answers {
        for (address, fault) in prepared.failures() {
            failed.add_fault(host, address, fault);
        }
    }
    let names = session.host_names();
    Outcome {
        stdout: print::prepared(results, names),
        stderr: failed.table(names),
        response: json::prepared(results, failed.by_text()).into(),
        failure: failed.failure(),
    }
}
