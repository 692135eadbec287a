//! Asks the storage crate for a prepare or reset, on the NUMA nodes this host has.

use daos_storage_nvme::BdevProvider;

use super::{NvmePrepareAsk, NvmePrepared};
use crate::fault::Fault;
use crate::scan::memory;

/// Makes controllers and huge pages of this host ready.
///
/// # Errors
/// What keeps the whole host from being prepared; a single controller's fault is in the answer.
pub async fn prepare_nvme(
    provider: &dyn BdevProvider,
    ask: &NvmePrepareAsk,
) -> Result<NvmePrepared, Fault> {
    let nodes: Vec<u32> = memory::observe()?.nodes.iter().map(|node| node.node).collect();
    let (request, skipped) = ask.request(if nodes.is_empty() { &[0] } else { &nodes });
    let outcome = provider.prepare(&request).await.map_err(Fault::from)?;
    Ok(NvmePrepared::of(outcome, &skipped))
}

/// Gives controllers back to the kernel and huge pages to the host.
///
/// # Errors
/// As [`prepare_nvme`].
pub async fn reset_nvme(
    provider: &dyn BdevProvider,
    ask: &NvmePrepareAsk,
) -> Result<NvmePrepared, Fault> {
    let (request, skipped) = ask.reset();
    let outcome = provider.reset(&request).await.map_err(Fault::from)?;
    Ok(NvmePrepared::of_reset(outcome, &skipped))
}
