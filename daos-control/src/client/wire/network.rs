//! Wire forms of the fabric scan.

use daos_proto::ctl;
use daos_proto::ctl::ctl_svc_client::CtlSvcClient;

use super::stub;
use crate::client::connect::Connection;
use crate::client::network::{FabricInterface, HostFabric};
use crate::wire::CallError;

pub(in crate::client) async fn scan(
    connection: Connection,
    provider: String,
) -> Result<HostFabric, CallError> {
    let message = ctl::NetworkScanReq { provider, excludeinterfaces: String::new() };
    let answer = connection
        .call(message, |channel, request| async move {
            stub!(CtlSvcClient, channel).network_scan(request).await
        })
        .await?;
    Ok(HostFabric {
        interfaces: answer.interfaces.into_iter().map(interface).collect(),
        numa_nodes: u32::try_from(answer.numacount).unwrap_or(0),
        cores_per_numa: u32::try_from(answer.corespernuma).unwrap_or(0),
    })
}

fn interface(message: ctl::FabricInterface) -> FabricInterface {
    FabricInterface {
        provider: message.provider,
        device: message.device,
        numa_node: message.numanode,
        priority: message.priority,
        device_class: message.netdevclass,
    }
}
