//! What is watched while a replica runs: whether the others have removed it, and whether the configuration still fits.

use daos_membership::{ReplicaId, Replicate, Role};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use super::ManagementKeeper;
use crate::management::replica::difference;
use crate::management::running::Serving;
use crate::management::slot::wanted;

impl ManagementKeeper {
    /// Attends to the replica until the end: a configuration that differs from the replicas is noticed once, and a
    /// replica that the others have removed is closed.
    pub async fn attend(&self, end: CancellationToken) {
        let mut serving = self.0.serving.subscribe();
        loop {
            let now = serving.borrow_and_update().clone();
            let attending = async {
                match now {
                    Some(now) => self.attend_to(now).await,
                    None => std::future::pending().await,
                }
            };
            let removed = tokio::select! {
                () = end.cancelled() => return,
                changed = serving.changed() => match changed {
                    Ok(()) => None,
                    Err(_) => return,
                },
                removed = attending => removed,
            };
            // Not as a branch above, which would be cut off by what it changes.
            if let Some((system, id)) = removed
                && let Err(fault) = self.dismiss(system, id).await
            {
                warn!("the replica that was removed is not closed: {fault}");
            }
        }
    }

    /// Completes when the others have removed the replica, with what names it.
    async fn attend_to(&self, serving: Serving) -> Option<(Uuid, ReplicaId)> {
        let mut role = serving.replica.role();
        let mut noticed = None;
        loop {
            let removed = matches!(role.borrow_and_update().role, Role::Removed);
            if removed {
                return Some((serving.system, serving.replica.me().id));
            }
            let notice = self.differs(&serving);
            if let Some(notice) = notice.as_ref().filter(|_| notice != noticed) {
                warn!("{notice}");
            }
            noticed = notice;
            if role.changed().await.is_err() {
                // Closed; whoever closes it says so.
                std::future::pending::<()>().await;
            }
        }
    }

    /// What to do about a configuration that lists other replicas than there are.
    fn differs(&self, serving: &Serving) -> Option<String> {
        let wanted = serving.membership.view().read(wanted);
        difference(&self.0.replicas.addresses, &wanted)
    }
}
