//! Which system the management service serves, asked before an engine joins it: its storage must not be another one's.
//!
//! Used by the engines' start. A stock management service cannot say.

use std::fmt::Display;
use std::time::Duration;

use daos_membership::ControlAddress;
use futures_util::future::join_all;
use uuid::Uuid;

use super::keeper::ManagementKeeper;
use super::slot::{Management, ManagementState, Told};
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
            let answers = hosts.iter().zip(join_all(asked).await);
            match first(answers) {
                Heard::System(system, replicas) => {
                    self.learn(replicas.iter().filter_map(|text| text.parse().ok()).collect());
                    self.told().look(String::new());
                    return Some(system);
                }
                Heard::CannotSay => return None,
                Heard::Nothing(why) => self.told().look(why),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                changed = state.changed() => if changed.is_err() { return None },
            }
        }
    }
}

impl Told {
    /// What keeps this host from finding the system: in the log the first time and each time it is another thing, and shown in
    /// the host's state. Empty when nothing does.
    fn look(&self, why: String) {
        self.finds.send_if_modified(|known| {
            let new = *known != why;
            if new && !why.is_empty() {
                tracing::warn!("engines cannot join yet, no system was found: {why}");
            } else if new {
                tracing::info!("the system was found");
            }
            *known = why;
            new
        });
    }
}

/// What the answers of all replicas come to.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    System(Uuid, Vec<String>),
    CannotSay,
    /// Nobody serves a system, as each of them said.
    Nothing(String),
}

fn first<A: Display>(
    answers: impl Iterator<Item = (A, Result<ReplicaStatus, CallError>)>,
) -> Heard {
    let (mut why, mut cannot_say) = (Vec::new(), false);
    for (host, answer) in answers {
        match answer {
            Ok(ReplicaStatus {
                kind: ReplicaKind::Running,
                system: Some(system),
                replicas,
                ..
            }) => {
                return Heard::System(system, replicas);
            }
            Err(CallError::Unimplemented(_)) => cannot_say = true,
            Err(error) => why.push(format!("{host}: {error}")),
            Ok(ReplicaStatus { kind, reason, .. }) => why.push(match reason.as_str() {
                "" => format!("{host}: its replica is {}", kind.name()),
                reason => format!("{host}: its replica is {}, {reason}", kind.name()),
            }),
        }
    }
    if cannot_say { Heard::CannotSay } else { Heard::Nothing(why.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::management::Replicas;

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
        let first = |answers: Vec<_>| first(["h:1", "h:2", "h:3"].into_iter().zip(answers));
        assert_eq!(first(vec![down(), stock(), Ok(serves)]), system);
        assert_eq!(first(vec![down(), stock()]), Heard::CannotSay);
        let why = "h:1: down; h:2: its replica is none".to_owned();
        assert_eq!(first(vec![down(), Ok(none)]), Heard::Nothing(why));
    }

    /// An engine that cannot join says why where it runs, and its host says it to whoever asks.
    #[test]
    fn what_keeps_a_host_from_the_system_is_known_there() {
        let replicas = Replicas { addresses: vec!["10.0.0.1:1".parse().unwrap()], own: None };
        let (told, management) = Management::new(replicas);
        assert_eq!(management.waits_for(), "");
        told.look("10.0.0.1:1: the peer does not speak TLS".to_owned());
        assert!(management.waits_for().ends_with("10.0.0.1:1: the peer does not speak TLS"));
        told.look(String::new());
        assert_eq!(management.waits_for(), "");
    }
}
