//! The requests of engines that do not exist: each with its own uuid, host and fabric address.

use std::net::Ipv4Addr;

use anyhow::{Result, bail};
use daos_proto::mgmt::mgmt_svc_client::MgmtSvcClient;
use daos_proto::mgmt::{JoinReq, LeaderQueryReq};
use tonic::Request;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};

/// Name of the system.
pub const SYSTEM: &str = "daos_bench";
/// Addresses of the hosts that do not exist: of this machine, so that nobody else hears of them, and refused at once
/// where somebody asks them.
const FIRST_HOST: Ipv4Addr = Ipv4Addr::new(127, 64, 0, 1);

/// The join of engine `number`; the same number is the same engine, however often it asks.
pub fn join(number: u32) -> JoinReq {
    let host = Ipv4Addr::from_bits(FIRST_HOST.to_bits() + number);
    JoinReq {
        sys: SYSTEM.to_owned(),
        uuid: format!("00000000-0000-4000-8000-{number:012x}"),
        rank: u32::MAX,
        uri: format!("ofi+tcp://{host}:31416"),
        nctxs: 9,
        addr: format!("{host}:10001"),
        srv_fault_domain: format!("/node{number:06}"),
        incarnation: 1 << 40 | u64::from(number),
        ..JoinReq::default()
    }
}

/// A request with the headers of a server (contract 1.7).
pub fn signed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("x-daos-component", MetadataValue::from_static("server"));
    request.metadata_mut().insert("x-daos-version", MetadataValue::from_static("2.8.0"));
    request
}

/// A new connection to a server on this machine.
pub async fn connect(port: u16) -> Result<MgmtSvcClient<Channel>, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}"))?.tcp_nodelay(true);
    Ok(MgmtSvcClient::new(endpoint.connect().await?))
}

/// Who leads, in the eyes of the server at this port: its `address:port`.
pub async fn leader(port: u16) -> Result<String> {
    let message = LeaderQueryReq { sys: SYSTEM.to_owned(), hosts: String::new() };
    let answer = connect(port).await?.leader_query(signed(message)).await?.into_inner();
    if answer.current_leader.is_empty() {
        bail!("no leader is known");
    }
    Ok(answer.current_leader)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::join;

    #[test]
    fn no_two_engines_share_anything() {
        let (mut uuids, mut uris, mut hosts) = <(BTreeSet<_>, BTreeSet<_>, BTreeSet<_>)>::default();
        for number in [0, 1, 254, 255, 256, 65_535, 65_536, 99_999] {
            let join = join(number);
            assert!(uuids.insert(join.uuid) && uris.insert(join.uri) && hosts.insert(join.addr));
        }
    }
}
