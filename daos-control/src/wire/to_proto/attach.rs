//! What a client needs to reach the engines (contract 2 `GetAttachInfoResp`, 2.1).

use std::net::SocketAddr;
use std::sync::Arc;

use daos_membership::Member;
use daos_proto::mgmt::get_attach_info_resp::RankUri;
use daos_proto::mgmt::{BuildInfo, ClientNetHint, GetAttachInfoResp};

use crate::rpc::AttachHints;
use crate::wire::WIRE_VERSION;

/// The answer for these members of the group; `replicas` are the hosts of the management service.
#[must_use]
pub fn attach_response(
    members: &[Arc<Member>],
    replicas: &[SocketAddr],
    all_ranks: bool,
    hints: &AttachHints,
    system: &str,
    data_version: u64,
) -> GetAttachInfoResp {
    let on_replica = |member: &&Arc<Member>| replicas.contains(&member.address.socket());
    let uri = |member: &Arc<Member>| RankUri {
        rank: member.rank.get(),
        uri: member.fabric_uri.clone(),
        provider_idx: 0,
        num_ctxs: member.fabric_contexts,
    };
    GetAttachInfoResp {
        rank_uris: members.iter().filter(|each| all_ranks || on_replica(each)).map(uri).collect(),
        ms_ranks: members.iter().filter(on_replica).map(|member| member.rank.get()).collect(),
        client_net_hint: Some(hint(hints)),
        data_version,
        sys: system.to_owned(),
        build_info: Some(BuildInfo {
            major: WIRE_VERSION.major,
            minor: WIRE_VERSION.minor,
            patch: WIRE_VERSION.patch,
            tag: String::new(),
        }),
        ..GetAttachInfoResp::default()
    }
}

fn hint(hints: &AttachHints) -> ClientNetHint {
    ClientNetHint {
        provider: hints.provider.clone(),
        crt_timeout: hints.crt_timeout_s,
        net_dev_class: hints.class.0,
        srv_srx_set: match hints.shared_receive {
            None => -1,
            Some(used) => used.into(),
        },
        env_vars: hints.env_vars.clone(),
        ..ClientNetHint::default()
    }
}
