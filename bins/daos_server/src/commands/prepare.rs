//! `daos_server storage prepare` and `nvme prepare|reset`: words into a request, an outcome into lines (R72-R87).

use anyhow::Result;
use daos_control::Fault;
use daos_control::prepare::{NvmePrepareAsk, prepare_nvme, reset_nvme};
use daos_control::server::providers_of_this_host;
use serde_json::{Map, Value};

use super::place::Place;
use super::{failure_data, print};
use crate::cli::{Global, NvmeLists, NvmeOptions, NvmePrepare, Prepare};

/// What came of one kind of storage.
struct Part {
    text: String,
    data: Value,
    faults: Vec<Fault>,
}

impl Part {
    fn failed(fault: Fault) -> Self {
        Self { text: String::new(), data: failure_data(&fault), faults: vec![fault] }
    }
}

/// `storage prepare`: NVMe first, then persistent memory; an error of one does not keep the other from being tried (R85, R86).
pub fn storage(global: &Global, options: &Prepare) -> Result<()> {
    let mut parts = Vec::new();
    if !options.scm_only {
        let ask = NvmePrepareAsk { allow: options.allow.clone(), ..common(&options.nvme) };
        parts.push(("NVMe", nvme_part(global, &ask, options.reset)?));
    }
    if !options.nvme_only {
        parts.push(("SCM", scm_part(global, options)?));
    }
    if global.json {
        let data: Map<_, _> =
            parts.iter().map(|(name, part)| ((*name).to_owned(), part.data.clone())).collect();
        print(&format!("{:#}\n", Value::Object(data)))?;
    }
    refused(parts.into_iter().flat_map(|(_, part)| part.faults).collect())
}

/// `nvme prepare`.
pub fn nvme(global: &Global, options: &NvmePrepare) -> Result<()> {
    only_nvme(global, &with_lists(&options.lists, common(&options.nvme)), false)
}

/// `nvme reset`.
pub fn reset(global: &Global, lists: &NvmeLists) -> Result<()> {
    only_nvme(global, &with_lists(lists, NvmePrepareAsk::default()), true)
}

fn common(options: &NvmeOptions) -> NvmePrepareAsk {
    NvmePrepareAsk {
        pages: options.hugepages.clone(),
        user: options.user.clone(),
        disable_vfio: options.disable_vfio,
        ..NvmePrepareAsk::default()
    }
}

fn with_lists(lists: &NvmeLists, ask: NvmePrepareAsk) -> NvmePrepareAsk {
    let allow = (!lists.allow.is_empty()).then(|| lists.allow.join(" "));
    NvmePrepareAsk { allow, block: lists.block.clone(), ..ask }
}

fn only_nvme(global: &Global, ask: &NvmePrepareAsk, back: bool) -> Result<()> {
    let part = nvme_part(global, ask, back)?;
    if global.json {
        print(&format!("{:#}\n", part.data))?;
    }
    refused(part.faults)
}

/// Does it and prints the lines for people as they come: the next part may take long, or ask something.
fn nvme_part(global: &Global, ask: &NvmePrepareAsk, back: bool) -> Result<Part> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let place = Place::of(global)?;
    let (_, nvme) = providers_of_this_host(&place.state_dir);
    let verb = if back { "Resetting" } else { "Preparing" };
    if !global.json {
        print(&format!("{verb} locally-attached NVMe storage...\n"))?;
    }
    let done = runtime.block_on(async {
        if back { reset_nvme(&*nvme, ask, &[]).await } else { prepare_nvme(&*nvme, ask).await }
    });
    let part = match done {
        Ok(mut done) => {
            done.notices.extend(place.notice.clone());
            let file = place.named_by.as_ref();
            let by = file.map(|file| format!(", as in {}", file.display())).unwrap_or_default();
            let text = format!("{}  record: {}{by}\n", done.text(), place.record().display());
            let mut data = done.data();
            data["record"] = place.record().display().to_string().into();
            Part { text, data, faults: done.faults() }
        }
        Err(fault) => Part::failed(fault),
    };
    if !global.json {
        print(&part.text)?;
    }
    Ok(part)
}

/// The same for persistent memory, which may have something to ask.
fn scm_part(global: &Global, options: &Prepare) -> Result<Part> {
    match super::scm::of_storage_prepare(global, options) {
        Ok(done) => Ok(Part { text: done.text(), data: done.data(), faults: Vec::new() }),
        Err(error) => Ok(Part::failed(error.downcast::<Fault>()?)),
    }
}

/// One message with a line for each error and its remedy (R86).
fn refused(faults: Vec<Fault>) -> Result<()> {
    if faults.is_empty() {
        return Ok(());
    }
    let line = |fault: &Fault| {
        let reason =
            if fault.reason.is_empty() { String::new() } else { format!(": {}", fault.reason) };
        format!("\n  {fault}{reason}\n  {}", fault.resolution_line())
    };
    anyhow::bail!("scan error(s):{}", faults.iter().map(line).collect::<String>())
}
