//! Which namespaces of persistent memory can be proposed: an engine needs one in fsdax mode that nobody uses.

use daos_storage_scm::ScmNamespace;
use daos_storage_scm::model::NamespaceMode;

/// Everything that keeps a namespace from being given to an engine, in words.
pub(crate) fn pmem_obstacles(found: &ScmNamespace) -> Vec<String> {
    let mode = match found.mode {
        NamespaceMode::Fsdax => None,
        NamespaceMode::Unknown => {
            Some("its mode cannot be told, and engines need fsdax".to_owned())
        }
        mode => Some(format!("in mode {mode}, and engines need fsdax")),
    };
    mode.into_iter().chain(found.uses.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fsdax_that_nobody_uses_has_no_obstacle() {
        let space = |mode, uses: &[&str]| ScmNamespace {
            mode,
            uses: uses.iter().map(|each| (*each).to_owned()).collect(),
            ..ScmNamespace::default()
        };
        assert!(pmem_obstacles(&space(NamespaceMode::Fsdax, &[])).is_empty());
        for (mode, uses, expected) in [
            (NamespaceMode::Raw, &[][..], "in mode raw, and engines need fsdax"),
            (NamespaceMode::Sector, &[], "in mode sector, and engines need fsdax"),
            (NamespaceMode::Unknown, &[], "its mode cannot be told, and engines need fsdax"),
            (NamespaceMode::Fsdax, &["active swap space"], "active swap space"),
        ] {
            assert_eq!(pmem_obstacles(&space(mode, uses)), [expected]);
        }
        let both = space(NamespaceMode::Raw, &["mounted on /data"]);
        assert_eq!(pmem_obstacles(&both).len(), 2);
    }
}
