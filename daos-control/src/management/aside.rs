//! Sets the database of a replica that was removed aside: nothing is deleted, and nothing finds it by mistake.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use daos_membership::{ReplicaId, STORE_DIR, StoreError};

/// Renames the database's directory below `parent`; its new name says which replica it was.
///
/// # Errors
/// When it cannot be renamed durably.
pub(super) fn set_aside(parent: &Path, replica: ReplicaId) -> Result<PathBuf, StoreError> {
    let (from, to) = (parent.join(STORE_DIR), parent.join(format!("{STORE_DIR}.{replica}")));
    let renamed = fs::rename(&from, &to).and_then(|()| File::open(parent)?.sync_all());
    let failed = |source: io::Error| StoreError::Io {
        path: from.clone(),
        doing: "set aside",
        source: Box::new(source),
    };
    renamed.map(|()| to).map_err(failed)
}

#[cfg(test)]
mod tests {
    use daos_membership::{RedbStore, ReplicaId, SystemIdentity};

    use super::set_aside;

    #[test]
    fn a_database_is_kept_under_another_name() {
        let parent = tempfile::tempdir().unwrap();
        let identity = SystemIdentity { uuid: uuid::Uuid::from_u128(1), name: "n".into() };
        drop(RedbStore::create(parent.path(), &identity).unwrap());
        let aside = set_aside(parent.path(), ReplicaId(0xab)).unwrap();
        assert!(aside.ends_with("control_raft.00000000000000ab"));
        assert!(!RedbStore::exists(parent.path()));
        assert!(aside.join("daos_system.db").is_file());
        assert!(set_aside(parent.path(), ReplicaId(0xab)).is_err(), "there is nothing any more");
    }
}
