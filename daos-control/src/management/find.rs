//! Which system the management service serves, asked before an engine joins it: its storage must not be another one's.
//!
//! Used by the engines' start. A stock management service cannot say.

use std::time::Duration;

use daos_membership::ControlAddress;
use futures_util::future::join_all;
use uuid::Uuid;

use super::keeper::ManagementKeeper;
use super::slot::{Management, ManagementState};
use crate::client::{ReplicaKind, ReplicaStatus};
use crate::wire::CallError;

/// First pause before the replicas are asked again; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl ManagementKeeper {
    /// The system, as soon as anybody serves one; `None` where nobody who answers can say, or nobody is left to ask.
    pub async fn find_system(&self, management: &Management) -> Option<Uuid> {
        let mut pause = FIRST_PAUSE;
        let mut state = management.watch();
        loop {
            let now = state.borrow_and_update().clone();
            match now {
                ManagementState::Running(_) => {
                    // None while it is being closed: what follows is seen next.
                    if let Some(system) = self.system().await {
                        return Some(system);
                    }
                }
                // Nobody can know of a system before this host does, or it is the only replica.
                ManagementState::Uninitialized { .. } => {
                    if state.changed().await.is_err() {
                        return None;
                    }
                    continue;
                }
                ManagementState::Failed(_) if management.replicas().len() <= 1 => return None,
                _ => {}
            }
            let hosts = management.replicas();
            let asked = hosts.iter().map(|at| self.ask_status(ControlAddress::new((*at).into())));
            match first(join_all(asked).await) {
                Heard::System(system, replicas) => {
                    self.learn(replicas.iter().filter_map(|text| text.parse().ok()).collect());
                    return Some(system);
                }
                Heard::CannotSay => return None,
                Heard::Nothing => {}
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                changed = state.changed() => if changed.is_err() { return None },
            }
        }
    }
}

/// What the answers of all replicas come to.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    System(Uuid, Vec<String>),
    CannotSay,
    Nothing,
}

fn first(answers: Vec<Result<ReplicaStatus, CallError>>) -> Heard {
    let mut heard = Heard::Nothing;
    for answer in answers {
        match answer {
            Ok(ReplicaStatus {
                kind: ReplicaKind::Running,
                system: Some(system),
                replicas,
                ..
            }) => {
                return Heard::System(system, replicas);
            }
            Err(CallError::Unimplemented(_)) => heard = Heard::CannotSay,
            _ => {}
        }
    }
    heard
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_replica_that_serves_knows_the_system() {
        let serves = ReplicaStatus {
            kind: ReplicaKind::Running,
            system: Some(Uuid::from_u128(5)),
            replicas: vec!["10.0.0.1:1".into()],
            ..ReplicaStatus::default()
        };
        let none = ReplicaStatus::default();
        let stock = || Err(CallError::Unimplemented("no".into()));
        let down = || Err(CallError::text("down"));
        let system = Heard::System(Uuid::from_u128(5), vec!["10.0.0.1:1".into()]);
        assert_eq!(first(vec![down(), stock(), Ok(serves)]), system);
        assert_eq!(first(vec![down(), stock()]), Heard::CannotSay);
        assert_eq!(first(vec![down(), Ok(none)]), Heard::Nothing);
    }
}
