//! Wire forms of the requests to servers themselves.

use daos_proto::ctl;
use daos_proto::ctl::ctl_svc_client::CtlSvcClient;
use daos_proto::daosx::v1 as ours;
use daos_proto::daosx::v1::hardware_client::HardwareClient;
use daos_proto::daosx::v1::host_client::HostClient;

use super::stub;
use crate::client::connect::Connection;
use crate::client::devices::{DeviceState, HostDevices, Obstacle, PmemState};
use crate::client::server::{EngineState, HostState, LogMasks};
use crate::wire::CallError;

pub(in crate::client) async fn state(connection: Connection) -> Result<HostState, CallError> {
    let answer = connection
        .call(ours::StateReq {}, |channel, request| async move {
            stub!(HostClient, channel).state(request).await
        })
        .await?;
    Ok(HostState {
        system: answer.system,
        version: answer.version,
        insecure: answer.insecure,
        management: answer.management,
        engines: answer.engines.into_iter().map(engine).collect(),
    })
}

/// What a server says of its devices beyond the scan of 2.8; `None` from one that has no such service.
pub(in crate::client) async fn devices(
    connection: Connection,
) -> Result<Option<HostDevices>, CallError> {
    let answer = connection
        .call(ours::DevicesReq {}, |channel, request| async move {
            stub!(HardwareClient, channel).devices(request).await
        })
        .await;
    match answer {
        Ok(answer) => Ok(Some(host_devices(answer))),
        Err(CallError::Unimplemented(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn host_devices(message: ours::DevicesResp) -> HostDevices {
    let obstacle = |message: ours::Obstacle| Obstacle {
        text: message.text,
        ends_when_configured: message.ends_when_configured,
    };
    let obstacles =
        |messages: Vec<ours::Obstacle>| messages.into_iter().map(obstacle).collect::<Vec<_>>();
    let controller = |message: ours::Controller| {
        let state = DeviceState {
            driver: message.driver,
            source: message.source,
            health_unreadable: message.health_unreadable,
            obstacles: obstacles(message.obstacles),
        };
        (message.address, state)
    };
    let namespace = |message: ours::PmemNamespace| {
        let obstacles = obstacles(message.obstacles);
        (message.device, PmemState { mode: message.mode, obstacles })
    };
    HostDevices {
        controllers: message.controllers.into_iter().map(controller).collect(),
        namespaces: message.namespaces.into_iter().map(namespace).collect(),
        problems: message.problems,
    }
}

fn engine(message: ours::EngineState) -> EngineState {
    EngineState {
        index: message.index,
        state: message.state,
        reason: message.reason,
        rank: message.rank,
        pid: (message.pid != 0).then_some(message.pid),
        scm_mount: message.scm_mount,
    }
}

pub(in crate::client) async fn set_log_masks(
    connection: Connection,
    sys: String,
    masks: LogMasks,
) -> Result<Vec<String>, CallError> {
    let message = ctl::SetLogMasksReq {
        sys,
        reset_masks: masks.masks.is_none(),
        reset_streams: masks.streams.is_none(),
        reset_subsystems: masks.subsystems.is_none(),
        masks: masks.masks.unwrap_or_default(),
        streams: masks.streams.unwrap_or_default(),
        subsystems: masks.subsystems.unwrap_or_default(),
    };
    let answer = connection
        .call(message, |channel, request| async move {
            stub!(CtlSvcClient, channel).set_engine_log_masks(request).await
        })
        .await?;
    Ok(answer.errors)
}
