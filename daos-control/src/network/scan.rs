//! A whole network scan: look, ask libfabric where it is installed, decide.

use super::error::NetworkError;
use super::libfabric::{Offered, offered_only};
use super::observe::observe;
use super::rows::{FabricScan, Wanted, rows};

/// What a scan found, and who had a say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned {
    /// The rows.
    pub found: FabricScan,
    /// Version of libfabric, major and minor; `None` where the rows go by what the kernel shows alone.
    pub libfabric: Option<(u32, u32)>,
}

/// Scans this host for `wanted` without the interfaces in `excluded`. Blocks: libfabric looks at hardware.
///
/// # Errors
/// What cannot be read, or a provider that is not known.
pub fn scan(wanted: &Wanted, excluded: &[&str]) -> Result<Scanned, NetworkError> {
    let network = observe()?;
    let found = rows(&network, wanted, excluded)?;
    Ok(match Offered::observe() {
        Some(offered) => Scanned {
            found: offered_only(found, &network, &offered),
            libfabric: Some(offered.version),
        },
        None => Scanned { found, libfabric: None },
    })
}
