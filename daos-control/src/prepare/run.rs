//! Asks the storage crate for a prepare or reset, on the NUMA nodes this host has.

use daos_storage_nvme::{BdevError, BdevProvider, PciAddress, PrepareRequest, ScanRequest};

use super::{NvmePrepareAsk, NvmePrepared};
use crate::fault::Fault;
use crate::scan::memory::{self, SystemMemory};

/// A prepare as it will be carried out on a host.
#[derive(Debug, Clone)]
pub struct NvmePlanned {
    request: PrepareRequest,
    skipped: Vec<String>,
    /// Nobody said how many pages.
    pages_unasked: bool,
    /// A node will have fewer huge pages than now: whoever uses them loses them when it ends.
    pub fewer_hugepages: bool,
}

impl NvmePlanned {
    /// For a host with this memory.
    #[must_use]
    pub fn of(ask: &NvmePrepareAsk, memory: &SystemMemory) -> Self {
        let (request, skipped) = ask.request(memory);
        let mut nodes = request.hugepages.iter();
        let fewer =
            nodes.any(|node| memory.hugepages_of(node.node).is_some_and(|now| node.pages < now));
        Self { request, skipped, fewer_hugepages: fewer, pages_unasked: ask.pages.is_none() }
    }

    /// Carries it out.
    ///
    /// # Errors
    /// What keeps the whole host from being prepared; a single controller's fault is in the answer.
    pub async fn carry_out(mut self, provider: &dyn BdevProvider) -> Result<NvmePrepared, Fault> {
        let there = controllers(provider).await?;
        all_there(self.request.include.as_deref(), &there)?;
        // Pages that nobody asked for are for the engines of controllers; a list without any, such as `none`, asks for pages alone.
        if self.pages_unasked && self.request.include.is_none() && there.is_empty() {
            self.request.hugepages.clear();
        }
        let outcome = provider.prepare(&self.request).await.map_err(Fault::from)?;
        Ok(NvmePrepared::of(outcome, &self.skipped))
    }
}

/// Makes controllers and huge pages of this host ready.
///
/// # Errors
/// As [`NvmePlanned::carry_out`].
pub async fn prepare_nvme(
    provider: &dyn BdevProvider,
    ask: &NvmePrepareAsk,
) -> Result<NvmePrepared, Fault> {
    NvmePlanned::of(ask, &memory::observe()?).carry_out(provider).await
}

/// Gives controllers back to the kernel and huge pages to the host; those of `kept` stay as they are.
///
/// # Errors
/// As [`NvmePlanned::carry_out`].
pub async fn reset_nvme(
    provider: &dyn BdevProvider,
    ask: &NvmePrepareAsk,
    kept: &[PciAddress],
) -> Result<NvmePrepared, Fault> {
    let (request, skipped) = ask.reset(kept);
    all_there(request.include.as_deref(), &controllers(provider).await?)?;
    let outcome = provider.reset(&request).await.map_err(Fault::from)?;
    Ok(NvmePrepared::of_reset(outcome, &skipped))
}

/// The controllers of this host, whoever has them.
async fn controllers(provider: &dyn BdevProvider) -> Result<Vec<PciAddress>, Fault> {
    let found = provider.scan(&ScanRequest::default()).await.map_err(Fault::from)?;
    Ok(found.controllers.iter().map(|controller| controller.address).collect())
}

/// An address that was named is a controller's: a typing error is no success.
fn all_there(named: Option<&[PciAddress]>, there: &[PciAddress]) -> Result<(), Fault> {
    let missing = named.unwrap_or_default().iter().filter(|address| !there.contains(address));
    let missing: Vec<String> = missing.map(ToString::to_string).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let remedy = "see daos_server nvme scan for the addresses there are; nothing was changed";
    let fault = Fault::from(BdevError::NotFound { device: missing.join(", ") });
    Err(Fault { resolution: remedy.to_owned(), ..fault })
}

#[cfg(test)]
mod tests {
    use daos_storage_nvme::DeviceState;
    use daos_storage_nvme::sim::{Script, SimBdev, World, blank_namespaces, controller};

    use super::{prepare_nvme, reset_nvme};
    use crate::fault::code;
    use crate::prepare::{NvmePrepareAsk, PagesAsk};

    fn host(addresses: &[&str]) -> SimBdev {
        let mut world = World::default();
        for address in addresses {
            let found = controller(address.parse().expect("an address"), 1, 1 << 30);
            world.put(*address, DeviceState::Nvme(blank_namespaces(found)));
        }
        SimBdev::new(world, Script::default())
    }

    fn ask(allow: Option<&str>, pages: Option<i64>) -> NvmePrepareAsk {
        let pages = pages.map(PagesAsk::of_number);
        NvmePrepareAsk { allow: allow.map(str::to_owned), pages, ..NvmePrepareAsk::default() }
    }

    #[tokio::test]
    async fn a_named_address_without_a_controller_is_an_error_and_nothing_is_changed() {
        let host = host(&["0000:81:00.0"]);
        for named in ["0000:99:00.0", "0000:81:00.0 0000:99:00.0"] {
            let ask = ask(Some(named), Some(8));
            let prepared = prepare_nvme(&host, &ask).await.expect_err("refused");
            let reset = reset_nvme(&host, &ask, &[]).await.expect_err("refused");
            for fault in [prepared, reset] {
                assert_eq!(fault.code, code::BDEV_NOT_FOUND);
                assert!(fault.description.contains("0000:99:00.0"), "{fault}");
                assert!(!fault.description.contains("0000:81:00.0"), "{fault}");
            }
        }
        let there = prepare_nvme(&host, &ask(Some("0000:81:00.0"), None)).await.expect("done");
        assert_eq!(there.controllers.len(), 1);
        assert!(!there.hugepages.is_empty());
    }

    #[tokio::test]
    async fn pages_that_nobody_asked_for_are_not_taken_without_a_controller() {
        let pages = async |host: &SimBdev, allow, pages| {
            let done = prepare_nvme(host, &ask(allow, pages)).await.expect("done");
            done.hugepages.iter().map(|node| node.pages).sum::<u64>()
        };
        assert_eq!(pages(&host(&[]), None, None).await, 0);
        assert_eq!(pages(&host(&[]), Some("none"), None).await, 1024);
        assert_eq!(pages(&host(&[]), None, Some(8)).await, 8);
        assert_eq!(pages(&host(&["0000:81:00.0"]), None, None).await, 1024);
    }
}
