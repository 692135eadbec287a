//! Writes down what a join settled, durably, before the engine is told (contract 3.5 step 4).

use std::path::Path;

use daos_membership::Incarnation;
use uuid::Uuid;

use super::request::{JoinAnswer, JoinAsk};
use crate::fault::Fault;
use crate::superblock::{self, Superblock};

/// Notes which start of the engine this is, and where it fails with others (contract 3.5 step 2).
///
/// # Errors
/// When the superblock cannot be written.
pub fn record_incarnation(
    path: &Path,
    superblock: &mut Superblock,
    incarnation: Incarnation,
    fault_domain: &str,
) -> Result<(), Fault> {
    superblock.incarnation = incarnation.0;
    fault_domain.clone_into(&mut superblock.host_fault_domain);
    store(path, superblock)
}

/// Writes rank, URI and, where it is known, the system into the superblock.
///
/// # Errors
/// When the superblock cannot be written: the engine must not be told a rank that would be forgotten.
pub fn settle(
    path: &Path,
    superblock: &mut Superblock,
    ask: &JoinAsk,
    answer: JoinAnswer,
    system: Option<Uuid>,
) -> Result<(), Fault> {
    let before = superblock.clone();
    superblock.rank = Some(answer.rank.get());
    superblock.valid_rank = true;
    superblock.replace = false;
    superblock.uri.clone_from(&ask.ready.uri);
    superblock.system_uuid = system.or(superblock.system_uuid);
    if *superblock == before { Ok(()) } else { store(path, superblock) }
}

fn store(path: &Path, superblock: &Superblock) -> Result<(), Fault> {
    superblock::store(path, superblock).map_err(|error| error.to_fault(path))
}
