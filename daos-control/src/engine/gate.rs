//! One storage, one user at a time: an engine, or a format of its storage. Held by `instance` while an engine
//! starts or runs, and by a format while it works; whoever comes second is told so.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

/// The right to use one engine's storage; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct StorageGate(Arc<Mutex<()>>);

/// Proof that nobody else uses the storage; dropped to give it back.
#[derive(Debug)]
pub struct StorageHold {
    _guard: OwnedMutexGuard<()>,
}

impl StorageGate {
    /// Takes the storage, or `None` when it is in use.
    #[must_use]
    pub fn try_hold(&self) -> Option<StorageHold> {
        Arc::clone(&self.0).try_lock_owned().ok().map(|guard| StorageHold { _guard: guard })
    }

    /// Waits for the storage; callers come in turn.
    pub async fn hold(&self) -> StorageHold {
        StorageHold { _guard: Arc::clone(&self.0).lock_owned().await }
    }
}

#[cfg(test)]
mod tests {
    use super::StorageGate;

    #[test]
    fn a_second_user_is_refused_until_the_first_lets_go() {
        let gate = StorageGate::default();
        let other = gate.clone();
        let hold = gate.try_hold().expect("nobody holds it");
        assert!(other.try_hold().is_none());
        drop(hold);
        assert!(other.try_hold().is_some());
    }
}
