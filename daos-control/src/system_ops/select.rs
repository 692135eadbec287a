//! Which members a request means: texts of ranks or hosts to a [`Selection`] (contract 6.9, 8.4).

use std::net::SocketAddr;
use std::time::Duration;

use daos_membership::{ControlAddress, DEFAULT_CONTROL_PORT, NamedHost, RankSet, Selection};
use futures_util::future::join_all;

use crate::client::{HostAddr, HostSet};
use crate::fault::{Fault, code};
use crate::wire::CallError;

/// Time for the resolver. A name that takes longer counts as one that does not resolve.
const RESOLVE: Duration = Duration::from_secs(5);

/// Longest list that is looked at, in bytes: far more than the folded form of any real system.
const LONGEST: usize = 1 << 20;

/// The members that the two lists of a request mean; both empty means all.
///
/// # Errors
/// Fault 1304 for a text that is no list, or for both lists at once.
pub async fn select(ranks: &str, hosts: &str) -> Result<Selection, CallError> {
    if ranks.len() > LONGEST || hosts.len() > LONGEST {
        return Err(bad("a list of ranks or hosts", "it is too long").into());
    }
    let ranks: RankSet = ranks.parse().map_err(|error| bad("a list of ranks", error))?;
    let hosts = match hosts.trim() {
        "" => HostSet::default(),
        hosts => HostSet::parse(hosts).map_err(|error| bad("a list of hosts", error))?,
    };
    let named = join_all(hosts.iter().cloned().map(named)).await;
    Ok(Selection::of(ranks, named).map_err(Fault::from)?)
}

fn bad(what: &str, why: impl std::fmt::Display) -> Fault {
    Fault::new(
        "system",
        code::BAD_SELECTION,
        format!("{what} cannot be used: {why}"),
        "write ranks like 0-3,5 and hosts like node[1-4]",
    )
}

async fn named(host: HostAddr) -> NamedHost {
    let port = host.port().unwrap_or(DEFAULT_CONTROL_PORT);
    NamedHost { name: host.to_string(), address: resolve(host.host(), port).await }
}

/// The first IPv4 address of a name, sorted, so that every host sees the same one.
pub(super) async fn resolve(host: &str, port: u16) -> Option<ControlAddress> {
    let found = tokio::time::timeout(RESOLVE, tokio::net::lookup_host((host, port))).await;
    let mut addresses: Vec<SocketAddr> = found.ok()?.ok()?.filter(SocketAddr::is_ipv4).collect();
    addresses.sort();
    addresses.first().copied().map(ControlAddress::new)
}

/// The address of `host` or `host:port`.
pub async fn resolve_host(text: &str, default_port: u16) -> Option<ControlAddress> {
    match text.rsplit_once(':') {
        Some((host, port)) => resolve(host, port.parse().ok().filter(|port| *port != 0)?).await,
        None => resolve(text, default_port).await,
    }
}

#[cfg(test)]
mod tests {
    use daos_membership::Selection;

    use super::select;

    #[tokio::test]
    async fn lists_become_selections() {
        assert_eq!(select("", "").await, Ok(Selection::All));
        let Ok(Selection::Ranks(ranks)) = select("[0-2,5]", "").await else { panic!("ranks") };
        assert_eq!(ranks.to_string(), "0-2,5");
        let Ok(Selection::Hosts(hosts)) = select("", "localhost,127.0.0.1:7").await else {
            panic!("hosts")
        };
        let addresses: Vec<_> = hosts
            .iter()
            .filter_map(|host| host.address.map(|address| address.to_string()))
            .collect();
        assert!(addresses.contains(&"127.0.0.1:10001".to_owned()), "{hosts:?}");
        assert!(addresses.contains(&"127.0.0.1:7".to_owned()), "{hosts:?}");
    }

    #[tokio::test]
    async fn a_name_that_does_not_resolve_is_kept_by_name() {
        let Ok(Selection::Hosts(hosts)) = select("", "no-such-host.invalid").await else {
            panic!("hosts")
        };
        assert_eq!((hosts[0].name.as_str(), hosts[0].address), ("no-such-host.invalid", None));
    }

    #[tokio::test]
    async fn nonsense_and_both_lists_are_refused() {
        let huge = "0,".repeat(1 << 20);
        for (ranks, hosts) in [
            ("x", ""),
            ("4294967295", ""),
            ("3-1", ""),
            ("", "node[2-1]"),
            ("0", "n1"),
            (huge.as_str(), ""),
        ] {
            let refused = select(ranks, hosts).await.expect_err("refused");
            assert_eq!(refused.fault_code(), Some(1304));
            assert!(refused.to_string().len() < 500);
        }
    }
}
