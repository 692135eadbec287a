//! A prepare or reset that comes over the network: what the configuration of the host has to say in it, and which engines must not
//! have their storage meanwhile. Used by the gRPC edge; pure but for the work itself.

use std::sync::Arc;

use daos_storage_nvme::{BdevProvider, PciAddress, ScanRequest};

use super::{
    NvmePlanned, NvmePrepareAsk, NvmePrepared, engines_of, engines_with_hugepages, reset_nvme,
};
use crate::config::{DataPlane, ServerConfig};
use crate::fault::{Fault, code};
use crate::scan::memory::SystemMemory;

/// Something asked of this host, ready to be done while these engines are kept from their storage.
#[derive(Debug)]
pub struct FromAfar {
    /// Indexes of the engines that must not run.
    pub engines: Vec<u32>,
    work: Work,
    notices: Vec<String>,
}

#[derive(Debug)]
enum Work {
    Prepare(NvmePlanned),
    Reset { ask: NvmePrepareAsk, kept: Vec<PciAddress> },
}

/// The ask with what the configuration of the host adds: `bdev_exclude`, `disable_vmd` and `disable_vfio` hold for everybody.
///
/// # Errors
/// [`code::PREPARE_KEPT_BY_HOST`] when a controller is named that the host keeps to itself.
pub fn with_host_rules(
    config: &ServerConfig,
    mut ask: NvmePrepareAsk,
) -> Result<NvmePrepareAsk, Fault> {
    ask.kept = config.nvme.exclude.iter().filter_map(|text| text.parse().ok()).collect();
    ask.disable_vmd |= config.nvme.disable_vmd;
    ask.disable_vfio |= config.nvme.disable_vfio;
    let named = ask.named_and_kept();
    if named.is_empty() {
        return Ok(ask);
    }
    let named: Vec<String> = named.iter().map(ToString::to_string).collect();
    Err(Fault::new(
        "storage",
        code::PREPARE_KEPT_BY_HOST,
        format!(
            "the configuration of this host keeps controllers from every prepare and reset: {}",
            named.join(", ")
        ),
        "leave them out, or take them out of bdev_exclude (or disable_vmd, for those behind a VMD) on that host and restart its server",
    ))
}

/// What the host keeps to itself although a driver for user space has it: a reset leaves it there.
///
/// # Errors
/// The controllers cannot be listed.
pub async fn kept_of(
    provider: &dyn BdevProvider,
    ask: &NvmePrepareAsk,
) -> Result<Vec<PciAddress>, Fault> {
    if ask.kept.is_empty() && !ask.disable_vmd {
        return Ok(Vec::new());
    }
    let found = provider.scan(&ScanRequest::default()).await.map_err(Fault::from)?;
    let taken = found.controllers.iter().filter(|it| it.driver.as_deref() != Some("nvme"));
    Ok(taken.map(|it| it.address).filter(|address| ask.keeps(*address)).collect())
}

impl FromAfar {
    /// A prepare on a host with this memory.
    #[must_use]
    pub fn prepare(config: &ServerConfig, ask: &NvmePrepareAsk, memory: &SystemMemory) -> Self {
        let planned = NvmePlanned::of(ask, memory);
        let mut engines = engines_of(config, ask);
        if planned.fewer_hugepages {
            add(&mut engines, engines_with_hugepages(config));
        }
        let mut notices = kept_notices(ask);
        if config.data_plane == DataPlane::Emulated {
            notices.push("data_plane is emulated: huge pages are left as they are".to_owned());
        }
        Self { engines, work: Work::Prepare(planned), notices }
    }

    /// A reset, with what [`kept_of`] says.
    #[must_use]
    pub fn reset(config: &ServerConfig, ask: NvmePrepareAsk, kept: Vec<PciAddress>) -> Self {
        let mut engines = engines_of(config, &ask);
        // Only then do huge pages go back to what they were.
        if ask.is_everything() {
            add(&mut engines, engines_with_hugepages(config));
        }
        let notices = kept_notices(&ask);
        Self { engines, work: Work::Reset { ask, kept }, notices }
    }

    /// Does it.
    ///
    /// # Errors
    /// What keeps the whole of it from being done; a single controller's fault is in the answer.
    pub async fn carry_out(self, provider: Arc<dyn BdevProvider>) -> Result<NvmePrepared, Fault> {
        let mut done = match self.work {
            Work::Prepare(planned) => planned.carry_out(&*provider).await?,
            Work::Reset { ask, kept } => reset_nvme(&*provider, &ask, &kept).await?,
        };
        done.notices.extend(self.notices);
        Ok(done)
    }
}

fn add(engines: &mut Vec<u32>, more: Vec<u32>) {
    engines.extend(more);
    engines.sort_unstable();
    engines.dedup();
}

/// Controllers that all were meant to include, and that the host keeps to itself.
fn kept_notices(ask: &NvmePrepareAsk) -> Vec<String> {
    if ask.allow.as_deref().is_some_and(|list| !list.trim().is_empty()) {
        return Vec::new();
    }
    let listed = ask
        .kept
        .iter()
        .map(|address| format!("{address} is left alone: bdev_exclude of this host"));
    let vmd = ask
        .disable_vmd
        .then(|| "controllers behind a VMD are left alone: disable_vmd of this host".to_owned());
    listed.chain(vmd).collect()
}

#[cfg(test)]
#[path = "from_afar_test.rs"]
mod tests;
