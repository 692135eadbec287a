//! The automatic prepare of a start (R169): huge pages before the first engine, an engine's controllers just before the engine.
//!
//! A controller stays with the kernel until its engine starts, so that a format can still show what is on it. Acts on what
//! [`StartNeeds`] says; never touches a controller that the configuration does not name, and resets none (W23). Held by the server.

use std::fmt;
use std::sync::Arc;

use daos_storage_nvme::{
    BdevProvider, NodeHugepages, NvmeController, PciAddress, PrepareOutcome, PrepareRequest,
    ScanRequest,
};
use tracing::{error, info, warn};

use super::needs::{HostNow, StartNeeds};
use crate::config::{DataPlane, ServerConfig};
use crate::fault::Fault;
use crate::preflight::HostFacts;
use crate::scan::class_faults;
use crate::scan::memory::{self, SystemMemory};

/// Only a server of this user takes controllers, and its engines are this user's.
const USER: &str = "root";

/// How the memory of the host is looked at; tests bring their own.
#[derive(Clone)]
pub struct LookAtMemory(Arc<dyn Fn() -> Result<SystemMemory, Fault> + Send + Sync>);

impl LookAtMemory {
    /// With this look.
    pub fn new(look: impl Fn() -> Result<SystemMemory, Fault> + Send + Sync + 'static) -> Self {
        Self(Arc::new(look))
    }

    fn look(&self) -> Result<SystemMemory, Fault> {
        (self.0)()
    }
}

impl Default for LookAtMemory {
    /// At this host.
    fn default() -> Self {
        Self::new(memory::observe)
    }
}

impl fmt::Debug for LookAtMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LookAtMemory")
    }
}

/// Gives engines what they need of the host.
#[derive(Debug)]
pub struct AutomaticPrepare {
    provider: Arc<dyn BdevProvider>,
    needs: StartNeeds,
    /// Without lists of controllers and pages.
    request: PrepareRequest,
    may_act: bool,
    memory: LookAtMemory,
}

impl AutomaticPrepare {
    /// One that does nothing: for engines that are no programs of this host.
    #[must_use]
    pub fn idle(provider: Arc<dyn BdevProvider>) -> Self {
        let request = PrepareRequest::default();
        let (needs, memory) = (StartNeeds::default(), LookAtMemory::default());
        Self { provider, needs, request, may_act: false, memory }
    }

    /// Looks at the host, refuses what cannot be had, and sets the huge pages. Gives the memory of the host as it is then.
    ///
    /// # Errors
    /// The first thing that is lacking; all of them are in the log.
    pub async fn begin(
        config: &ServerConfig,
        host: &HostFacts,
        provider: Arc<dyn BdevProvider>,
        memory: LookAtMemory,
    ) -> Result<(Self, SystemMemory), Fault> {
        let pages = host.memory.hugepage_mib();
        let needs = StartNeeds::of(config, host.cores, pages, &host.network);
        let exclude = config.nvme.exclude.iter().filter_map(|text| text.parse().ok());
        let request = PrepareRequest {
            exclude: exclude.collect(),
            user: Some(USER.to_owned()),
            disable_vfio: config.nvme.disable_vfio,
            disable_vmd: config.nvme.disable_vmd,
            ..PrepareRequest::default()
        };
        let this = Self { provider, needs, request, may_act: host.is_root, memory };
        if config.data_plane == DataPlane::Emulated
            && config.engines.iter().any(crate::config::EngineConfig::has_nvme)
        {
            info!(
                "data_plane is emulated: NVMe controllers stay with the kernel, huge pages as they are"
            );
        }
        let memory = this.look().await?;
        this.set_hugepages(&memory).await?;
        let memory = this.memory.look()?;
        Ok((this, memory))
    }

    /// What is asked of the host.
    #[must_use]
    pub fn needs(&self) -> &StartNeeds {
        &self.needs
    }

    async fn look(&self) -> Result<SystemMemory, Fault> {
        let memory = self.memory.look()?;
        let controllers = if self.needs.has_nvme() { self.scan().await? } else { Vec::new() };
        let host = HostNow { memory: &memory, controllers: &controllers, is_root: self.may_act };
        first_of(self.needs.lacking(&host))?;
        Ok(memory)
    }

    async fn scan(&self) -> Result<Vec<NvmeController>, Fault> {
        let found = self.provider.scan(&ScanRequest::default()).await.map_err(Fault::from)?;
        first_of(class_faults(&found))?;
        Ok(found.controllers)
    }

    /// Gives each node its pages and sees that they are mounted, and makes spare controllers ready.
    async fn set_hugepages(&self, memory: &SystemMemory) -> Result<(), Fault> {
        let pages = self.needs.hugepages_to_set(memory);
        if self.may_act && !(pages.is_empty() && self.needs.spares.is_empty()) {
            for NodeHugepages { node, pages } in &pages {
                info!("NUMA node {node}: {pages} huge pages for engines");
            }
            let done = self.prepare(pages, self.needs.spares.clone()).await?;
            for (address, result) in done.controllers {
                match result {
                    Ok(driver) => info!("spare controller {address} has driver {driver}"),
                    Err(why) => warn!("spare controller {address} is not made ready: {why}"),
                }
            }
        }
        if !self.needs.hugepages.is_empty() {
            tell_used_pages(&self.memory.look()?);
        }
        Ok(())
    }

    /// Gives an engine the controllers it is configured with, as far as the server may, and its node huge pages that went since the
    /// server started, e.g. with a reset from afar.
    ///
    /// # Errors
    /// Why the first of them cannot be had; the engine must not start then.
    pub async fn give_to(&self, engine: u32) -> Result<(), Fault> {
        if !self.may_act {
            return Ok(());
        }
        let wanted = self.needs.automatic(engine);
        let pages = self.needs.hugepages_missing(engine, &self.memory.look()?);
        if wanted.is_empty() && pages.is_empty() {
            return Ok(());
        }
        for NodeHugepages { node, pages } in &pages {
            info!("engine {engine}: NUMA node {node} gets {pages} huge pages again");
        }
        let done = self.prepare(pages, wanted.clone()).await?;
        let mut faults = Vec::new();
        for (address, result) in &done.controllers {
            match result {
                Ok(driver) => info!("engine {engine}: controller {address} has driver {driver}"),
                Err(why) => faults.push(Fault::from(&**why)),
            }
        }
        let absent = wanted.iter().filter(|it| done.controllers.iter().all(|(a, _)| a != *it));
        faults.extend(absent.map(gone));
        first_of(faults)
    }

    async fn prepare(
        &self,
        hugepages: Vec<NodeHugepages>,
        include: Vec<PciAddress>,
    ) -> Result<PrepareOutcome, Fault> {
        let request = PrepareRequest { hugepages, include: Some(include), ..self.request.clone() };
        let done = self.provider.prepare(&request).await.map_err(Fault::from)?;
        done.notices.iter().for_each(|notice| warn!("{notice}"));
        Ok(done)
    }
}

fn gone(address: &PciAddress) -> Fault {
    Fault::from(daos_storage_nvme::BdevError::NotFound { device: address.to_string() })
}

/// R169: pages that somebody else uses are lacking to the engines.
fn tell_used_pages(memory: &SystemMemory) {
    let SystemMemory { hugepages_total: total, hugepages_free: free, .. } = memory;
    if *free == 0 {
        error!("none of {total} huge pages is free");
    } else if free != total {
        error!("{free} of {total} huge pages are free: other programs use the rest");
    }
}

/// Nothing, or the first of several, the others told in the log.
fn first_of(faults: Vec<Fault>) -> Result<(), Fault> {
    let mut faults = faults.into_iter();
    let Some(first) = faults.next() else { return Ok(()) };
    for other in faults {
        error!("{other}");
        error!("{}", other.resolution_line());
    }
    Err(first)
}

#[cfg(test)]
#[path = "automatic_test.rs"]
mod tests;
