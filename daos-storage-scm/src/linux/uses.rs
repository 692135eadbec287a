//! Who uses the block devices of namespaces, for a scan. Looks without reading what is on them; changes nothing.

use std::path::Path;

use daos_blockdev::inspect_uses;

use crate::model::ScmNamespace;

/// Fills in the uses of each. What cannot be looked at counts as used: nobody may take it for free.
pub(super) fn add(namespaces: &mut [ScmNamespace]) {
    for space in namespaces {
        space.uses = match inspect_uses(&Path::new("/dev").join(&space.blockdev)) {
            Ok((_, uses)) => uses.iter().map(ToString::to_string).collect(),
            Err(error) => vec![format!("cannot be looked at: {error}")],
        };
    }
}
