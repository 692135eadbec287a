//! Asks the other listed replicas whether the first one may make the system, until they have all said that there is none.
//!
//! Run by `keeper` as long as engine 0's storage is there and no system is. What is decided is in `founding`.

use std::net::SocketAddrV4;
use std::time::Duration;

use super::founding::{Founding, Said, founding};
use super::network::ReplicaHosts;
use super::replica::Replicas;
use crate::client::{ReplicaKind, ReplicaStatus};
use daos_membership::ControlAddress;
use futures_util::future::join_all;

/// Pause between two rounds of questions.
const PAUSE: Duration = Duration::from_millis(500);

/// Asks again and again until this host may make the system. `tell` is called with every new reason to wait: another system that
/// is there already today may be erased tomorrow.
pub(super) async fn until_permitted(
    replicas: &Replicas,
    hosts: &ReplicaHosts,
    tell: impl FnMut(&Founding),
) {
    let mine = replicas.own_address();
    let others: Vec<SocketAddrV4> =
        replicas.addresses.iter().filter(|address| Some(**address) != mine).copied().collect();
    ask_all(&replicas.addresses, &others, |at| ask(hosts, at), tell).await;
}

async fn ask_all<Answer: Future<Output = Said>>(
    configured: &[SocketAddrV4],
    others: &[SocketAddrV4],
    ask: impl Fn(SocketAddrV4) -> Answer,
    mut tell: impl FnMut(&Founding),
) {
    let mut told = Founding::Make;
    loop {
        let answers = join_all(others.iter().map(|at| ask(*at))).await;
        let said: Vec<(SocketAddrV4, Said)> = others.iter().copied().zip(answers).collect();
        let decided = founding(configured, &said);
        if decided == Founding::Make {
            return;
        }
        if decided != told {
            tell(&decided);
            told = decided;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn ask(hosts: &ReplicaHosts, at: SocketAddrV4) -> Said {
    match hosts.status(ControlAddress::new(at.into())).await {
        Ok(status) => said(status),
        Err(error) => Said::Silent { why: error.to_string() },
    }
}

fn said(status: ReplicaStatus) -> Said {
    let configured = status.configured.iter().filter_map(|text| text.parse().ok()).collect();
    match (status.kind, status.system) {
        (ReplicaKind::Running, Some(system)) => Said::Serves { system },
        (ReplicaKind::Failed, system) => {
            Said::Remembers { system, why: format!("which failed: {}", status.reason) }
        }
        (_, Some(system)) => {
            Said::Remembers { system: Some(system), why: "and does not serve it".to_owned() }
        }
        (ReplicaKind::Running, None) => {
            Said::Remembers { system: None, why: "which it serves without naming it".to_owned() }
        }
        (ReplicaKind::None, None) => Said::NoReplica { configured },
        (ReplicaKind::Uninitialized, None) => Said::NoSystem { configured },
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use uuid::Uuid;

    use super::{Founding, Said, SocketAddrV4, ask_all};

    fn at(host: u8) -> SocketAddrV4 {
        SocketAddrV4::new([10, 0, 0, host].into(), 10001)
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_was_told_of_a_system_goes_on_asking() {
        let configured = [at(1), at(2), at(3)];
        let system = Uuid::from_u128(7);
        let rounds = Cell::new(0);
        let said = |host: SocketAddrV4| match rounds.get() {
            ..=2 if host == at(3) => Said::Serves { system },
            3 if host == at(2) => Said::Silent { why: "down".to_owned() },
            _ => Said::NoSystem { configured: configured.to_vec() },
        };
        let ask = |host: SocketAddrV4| {
            rounds.set(rounds.get() + i32::from(host == at(2)));
            std::future::ready(said(host))
        };
        let told = RefCell::new(Vec::new());
        ask_all(&configured, &configured[1..], ask, |new| told.borrow_mut().push(new.clone()))
            .await;
        let waits = "waits for the other replicas: 10.0.0.2:10001 (down)".to_owned();
        let expected = [Founding::Join { system, at: at(3) }, Founding::Wait(waits)];
        assert_eq!(told.into_inner(), expected);
        assert_eq!(rounds.get(), 4);
    }
}
