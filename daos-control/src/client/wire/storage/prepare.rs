//! Wire forms of making NVMe ready and giving it back.

use daos_proto::daosx::v1 as ours;
use daos_proto::daosx::v1::prepare_client::PrepareClient;

use super::super::{malformed, stub};
use super::format::fault;
use crate::Fault;
use crate::client::HostAddr;
use crate::client::connect::Connection;
use crate::client::storage::{
    NvmePrepare, NvmeReset, PreparedController, PreparedNode, PreparedNvme,
};
use crate::fault::code;
use crate::wire::CallError;

pub(in crate::client) async fn prepare_nvme(
    connection: Connection,
    ask: NvmePrepare,
) -> Result<PreparedNvme, CallError> {
    let host = connection.host().clone();
    let NvmePrepare { lists: NvmeReset { allow, block }, pages, user, disable_vfio } = ask;
    let message = ours::PrepareNvmeReq { allow, block, pages, user, disable_vfio };
    let answer = connection
        .call(message, |channel, request| async move {
            stub!(PrepareClient, channel).prepare_nvme(request).await
        })
        .await;
    prepared(&host, answer)
}

pub(in crate::client) async fn reset_nvme(
    connection: Connection,
    ask: NvmeReset,
) -> Result<PreparedNvme, CallError> {
    let host = connection.host().clone();
    let message = ours::ResetNvmeReq { allow: ask.allow, block: ask.block };
    let answer = connection
        .call(message, |channel, request| async move {
            stub!(PrepareClient, channel).reset_nvme(request).await
        })
        .await;
    prepared(&host, answer)
}

fn prepared(
    host: &HostAddr,
    answer: Result<ours::PrepareNvmeResp, CallError>,
) -> Result<PreparedNvme, CallError> {
    let answer = answer.map_err(|error| match error {
        CallError::Unimplemented(_) => CallError::Fault(no_service(host)),
        other => other,
    })?;
    let controller = |message: ours::PreparedController| {
        let driver = match (message.driver.as_str(), message.fault.map(fault)) {
            (_, Some(fault)) => Err(fault),
            ("", None) => {
                return Err(malformed(host, "a controller with neither driver nor reason"));
            }
            (driver, None) => Ok(driver.to_owned()),
        };
        Ok(PreparedController { address: message.address, driver })
    };
    let nodes = answer.nodes.into_iter();
    Ok(PreparedNvme {
        controllers: answer.controllers.into_iter().map(controller).collect::<Result<_, _>>()?,
        nodes: nodes.map(|it| PreparedNode { node: it.node, hugepages: it.hugepages }).collect(),
        notices: answer.notices,
    })
}

fn no_service(host: &HostAddr) -> Fault {
    Fault::new(
        "client",
        code::CLIENT_NO_PREPARE_SERVICE,
        format!(
            "host {host} cannot be asked to prepare storage: no such service there (stock servers have none)"
        ),
        "run 'daos_server nvme prepare' or 'nvme reset' on the host itself",
    )
}
