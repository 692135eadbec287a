//! `daos_server storage prepare` and `nvme prepare|reset`: words into a request, an outcome into lines (R72-R87).

use anyhow::{Context, Result};
use daos_control::Fault;
use daos_control::config::Surroundings;
use daos_control::prepare::{NvmePrepareAsk, NvmePrepared, prepare_nvme, reset_nvme};
use daos_control::server::providers_of_this_host;

use super::{Faults, print};
use crate::cli::{Global, NvmeLists, NvmeOptions, NvmePrepare, Prepare};

/// `storage prepare`: NVMe first, then persistent memory; an error of one keeps the other from nothing (R85, R86).
pub fn storage(global: &Global, options: &Prepare) -> Result<()> {
    let ask = NvmePrepareAsk { allow: options.allow.clone(), ..common(&options.nvme) };
    if options.scm_only {
        anyhow::bail!("persistent memory cannot be prepared by this version yet");
    }
    run(global, &ask, options.reset)
}

/// `nvme prepare`.
pub fn nvme(global: &Global, options: &NvmePrepare) -> Result<()> {
    let ask = NvmePrepareAsk { ..with_lists(&options.lists, common(&options.nvme)) };
    run(global, &ask, false)
}

/// `nvme reset`.
pub fn reset(global: &Global, lists: &NvmeLists) -> Result<()> {
    run(global, &with_lists(lists, NvmePrepareAsk::default()), true)
}

fn common(options: &NvmeOptions) -> NvmePrepareAsk {
    NvmePrepareAsk {
        pages: options.hugepages,
        user: options.user.clone(),
        disable_vfio: options.disable_vfio,
        ..NvmePrepareAsk::default()
    }
}

fn with_lists(lists: &NvmeLists, ask: NvmePrepareAsk) -> NvmePrepareAsk {
    let allow = (!lists.allow.is_empty()).then(|| lists.allow.join(" "));
    NvmePrepareAsk { allow, block: lists.block.clone(), ..ask }
}

fn run(global: &Global, ask: &NvmePrepareAsk, back: bool) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let surroundings = Surroundings::of_this_process().context("looking at this process")?;
    let (_, nvme) = providers_of_this_host(&surroundings.default_state_dir);
    if !global.json {
        let verb = if back { "Resetting" } else { "Preparing" };
        print(&format!("{verb} locally-attached NVMe storage...\n"))?;
    }
    let done: Result<NvmePrepared, Fault> = runtime.block_on(async {
        if back { reset_nvme(&*nvme, ask).await } else { prepare_nvme(&*nvme, ask).await }
    });
    let done = done?;
    if global.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&done).context("writing JSON")?))?;
    } else {
        print(&done.text())?;
    }
    if done.faults().is_empty() { Ok(()) } else { Err(Faults(done.faults().to_vec()).into()) }
}
