//! The configured storage, as a format and a start would find it.

use daos_storage_nvme::BdevProvider;
use daos_storage_scm::ScmProvider;

use crate::fault::Fault;
use crate::format::{Foreseen, FormatTargets, Journal, foresee};
use crate::preflight::Asked;
use crate::start_table::ReplicaRoles;

/// What a format would refuse, engine by engine.
///
/// # Errors
/// Storage that no format takes, whatever is there.
pub(in crate::preflight) async fn foreseen(
    asked: Asked<'_>,
    scm: &dyn ScmProvider,
    bdev: &dyn BdevProvider,
) -> Result<Vec<Foreseen>, Fault> {
    // The name of the host only goes into files that are not written here.
    let targets = FormatTargets::from_config(asked.config, "preflight", ReplicaRoles::default())?;
    Ok(foresee(&targets, scm, bdev, &Journal::new(&asked.config.state_dir)).await)
}
