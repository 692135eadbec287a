//! Bodies of the calls between server and engine as plain values; this file turns them into protobuf and back.
//!
//! Called by the supervisor and by engines, so that neither names a protobuf type. The bodies of the upcalls that
//! only a server answers are in `supervisor::upcall_wire`.

use std::path::PathBuf;

use daos_proto::{ctl, mgmt, shared, srv};
use prost::Message;
use thiserror::Error;

use super::ras::{RasDetail, RasEvent, RasId, RasSeverity, RasType};

/// Rank on the wire where none applies.
const NO_RANK: u32 = u32::MAX;

/// A body that is not the message its method has.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unreadable body: {0}")]
pub struct BodyError(#[from] prost::DecodeError);

/// An engine is up and says how it is reached (contract 3.5).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NotifyReady {
    /// Its fabric address.
    pub uri: String,
    /// Its network contexts.
    pub contexts: u32,
    /// Its own dRPC listener.
    pub listener: PathBuf,
    /// Its index on the host.
    pub index: u32,
    /// Its targets.
    pub targets: u32,
    /// This start of it; higher than any earlier one.
    pub incarnation: u64,
    /// Further fabric addresses.
    pub secondary_uris: Vec<String>,
    /// Their network contexts.
    pub secondary_contexts: Vec<u32>,
    /// Whether it runs as a checker.
    pub check_mode: bool,
}

/// The rank of an engine and the version of the map that it joined at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetRank {
    /// The rank.
    pub rank: u32,
    /// The version.
    pub map_version: u32,
}

/// The members that engines know of, by version.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupUpdate {
    /// Higher with every change.
    pub map_version: u32,
    /// The members.
    pub members: Vec<GroupMember>,
}

/// One member of the group map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Its rank.
    pub rank: u32,
    /// Its fabric address.
    pub uri: String,
    /// The start of it that joined.
    pub incarnation: u64,
}

/// Levels and streams of an engine's log (contract 4.3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogMasks {
    /// Levels, e.g. `ERR,mgmt=DBUG`; subsystems are folded in.
    pub masks: String,
    /// Debug streams; empty leaves them.
    pub streams: String,
}

/// Failed block I/O, as an engine of the first generation reports it (R172).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BioError {
    /// Index of the engine on the host.
    pub index: u32,
    /// Target that saw it.
    pub target: i32,
    /// A read failed.
    pub read: bool,
    /// A write failed.
    pub write: bool,
    /// An unmap failed.
    pub unmap: bool,
}

impl NotifyReady {
    /// Body for the wire. A listener path that is not UTF-8 is written lossily and will be refused.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let this = self.clone();
        srv::NotifyReadyReq {
            uri: this.uri,
            nctxs: this.contexts,
            drpc_listener_sock: this.listener.to_string_lossy().into_owned(),
            instance_idx: this.index,
            ntgts: this.targets,
            incarnation: this.incarnation,
            secondary_uris: this.secondary_uris,
            secondary_nctxs: this.secondary_contexts,
            check_mode: this.check_mode,
        }
        .encode_to_vec()
    }

    /// Reads a body.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        let wire = srv::NotifyReadyReq::decode(body)?;
        Ok(Self {
            uri: wire.uri,
            contexts: wire.nctxs,
            listener: wire.drpc_listener_sock.into(),
            index: wire.instance_idx,
            targets: wire.ntgts,
            incarnation: wire.incarnation,
            secondary_uris: wire.secondary_uris,
            secondary_contexts: wire.secondary_nctxs,
            check_mode: wire.check_mode,
        })
    }
}

impl SetRank {
    /// Body for the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Self { rank, map_version } = *self;
        mgmt::SetRankReq { rank, map_version, daos_version: 0 }.encode_to_vec()
    }

    /// Reads a body.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        let wire = mgmt::SetRankReq::decode(body)?;
        Ok(Self { rank: wire.rank, map_version: wire.map_version })
    }
}

impl GroupUpdate {
    /// Body for the wire.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let engines = self.members.into_iter().map(|member| mgmt::group_update_req::Engine {
            rank: member.rank,
            uri: member.uri,
            incarnation: member.incarnation,
        });
        mgmt::GroupUpdateReq { map_version: self.map_version, engines: engines.collect() }
            .encode_to_vec()
    }

    /// Body for the wire, made of a rank, an address and an incarnation at a time: a list of a large system's members is
    /// not made for it.
    #[must_use]
    pub fn encode_each<'a>(
        map_version: u32,
        members: impl Iterator<Item = (u32, &'a str, u64)>,
    ) -> Vec<u8> {
        let mut update = mgmt::GroupUpdateReq { map_version, engines: Vec::new() }.encode_to_vec();
        let mut engine = mgmt::group_update_req::Engine::default();
        for (rank, uri, incarnation) in members {
            (engine.rank, engine.incarnation) = (rank, incarnation);
            engine.uri.clear();
            engine.uri.push_str(uri);
            // Field 2 of the message, once for each member.
            prost::encoding::message::encode(2, &engine, &mut update);
        }
        update
    }

    /// Reads a body.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        let wire = mgmt::GroupUpdateReq::decode(body)?;
        let members = wire.engines.into_iter().map(|engine| GroupMember {
            rank: engine.rank,
            uri: engine.uri,
            incarnation: engine.incarnation,
        });
        Ok(Self { map_version: wire.map_version, members: members.collect() })
    }
}

impl LogMasks {
    /// Body for the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Self { masks, streams } = self.clone();
        ctl::SetLogMasksReq { masks, streams, ..ctl::SetLogMasksReq::default() }.encode_to_vec()
    }

    /// Reads a body.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        let wire = ctl::SetLogMasksReq::decode(body)?;
        Ok(Self { masks: wire.masks, streams: wire.streams })
    }
}

impl BioError {
    /// Reads a body.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        let wire = srv::BioErrorReq::decode(body)?;
        Ok(Self {
            index: wire.instance_idx,
            target: wire.tgt_id,
            read: wire.read_err,
            write: wire.write_err,
            unmap: wire.unmap_err,
        })
    }
}

/// The answer of methods that only have a status: set-rank, set-up, group-update, ping-rank and their like.
#[must_use]
pub fn encode_status(status: i32) -> Vec<u8> {
    mgmt::DaosResp { status }.encode_to_vec()
}

/// Reads such an answer; further fields are skipped.
pub fn decode_status(body: &[u8]) -> Result<i32, BodyError> {
    Ok(mgmt::DaosResp::decode(body)?.status)
}

/// Body of a RAS event on its way from an engine to its server.
#[must_use]
pub fn encode_cluster_event(sequence: u64, event: RasEvent) -> Vec<u8> {
    shared::ClusterEventReq { sequence, event: Some(ras_to_proto(event)) }.encode_to_vec()
}

/// Reads such a body: its sequence and the event, if there is one.
pub fn decode_cluster_event(body: &[u8]) -> Result<(u64, Option<RasEvent>), BodyError> {
    let wire = shared::ClusterEventReq::decode(body)?;
    Ok((wire.sequence, wire.event.map(ras_from_proto)))
}

/// The answer to it.
#[must_use]
pub fn encode_cluster_event_answer(sequence: u64, status: i32) -> Vec<u8> {
    shared::ClusterEventResp { sequence, status }.encode_to_vec()
}

/// A RAS event as the wire has it; also used where servers forward events.
#[must_use]
pub(crate) fn ras_to_proto(event: RasEvent) -> shared::RasEvent {
    use shared::ras_event::{EngineStateEventInfo, ExtendedInfo, PoolSvcEventInfo};
    let extended_info = match event.detail {
        RasDetail::None => None,
        RasDetail::Text(text) => Some(ExtendedInfo::StrInfo(text)),
        RasDetail::Engine { instance, errored, error } => {
            Some(ExtendedInfo::EngineStateInfo(EngineStateEventInfo { instance, errored, error }))
        }
        RasDetail::PoolService { replicas, version } => {
            Some(ExtendedInfo::PoolSvcInfo(PoolSvcEventInfo { svc_reps: replicas, version }))
        }
    };
    shared::RasEvent {
        id: event.id.0,
        msg: event.message,
        timestamp: event.timestamp,
        r#type: match event.kind {
            RasType::Any => 0,
            RasType::StateChange => 1,
            RasType::Info => 2,
        },
        severity: match event.severity {
            RasSeverity::Error => 1,
            RasSeverity::Warning => 2,
            RasSeverity::Notice => 3,
        },
        hostname: event.hostname,
        rank: event.rank.unwrap_or(NO_RANK),
        incarnation: event.incarnation,
        hw_id: event.hardware_id,
        proc_id: event.process_id,
        thread_id: event.thread_id,
        job_id: event.job_id,
        pool_uuid: event.pool,
        cont_uuid: event.container,
        obj_id: event.object,
        ctl_op: event.operation,
        extended_info,
    }
}

/// The event of a wire message; unknown kinds become any, unknown severities a notice.
#[must_use]
pub(crate) fn ras_from_proto(event: shared::RasEvent) -> RasEvent {
    use shared::ras_event::ExtendedInfo;
    let detail = match event.extended_info {
        None => RasDetail::None,
        Some(ExtendedInfo::StrInfo(text)) => RasDetail::Text(text),
        Some(ExtendedInfo::EngineStateInfo(info)) => {
            RasDetail::Engine { instance: info.instance, errored: info.errored, error: info.error }
        }
        Some(ExtendedInfo::PoolSvcInfo(info)) => {
            RasDetail::PoolService { replicas: info.svc_reps, version: info.version }
        }
    };
    RasEvent {
        id: RasId(event.id),
        message: event.msg,
        timestamp: event.timestamp,
        kind: match event.r#type {
            1 => RasType::StateChange,
            2 => RasType::Info,
            _ => RasType::Any,
        },
        severity: match event.severity {
            1 => RasSeverity::Error,
            2 => RasSeverity::Warning,
            _ => RasSeverity::Notice,
        },
        hostname: event.hostname,
        rank: Some(event.rank).filter(|&rank| rank != NO_RANK),
        incarnation: event.incarnation,
        hardware_id: event.hw_id,
        process_id: event.proc_id,
        thread_id: event.thread_id,
        job_id: event.job_id,
        pool: event.pool_uuid,
        container: event.cont_uuid,
        object: event.obj_id,
        operation: event.ctl_op,
        detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notify_ready_survives_the_way_there() {
        let ready = NotifyReady {
            uri: "ofi+tcp://127.0.0.1:31416".into(),
            contexts: 3,
            listener: "/run/daos_engine_7.sock".into(),
            index: 1,
            targets: 1,
            incarnation: u64::MAX,
            secondary_uris: vec!["ofi+tcp://127.0.0.1:31516".into()],
            secondary_contexts: vec![2],
            check_mode: true,
        };
        assert_eq!(NotifyReady::decode(&ready.encode()), Ok(ready));
    }

    #[test]
    fn rank_zero_is_left_out_on_the_wire() {
        let set_rank = SetRank { rank: 0, map_version: 1 };
        assert_eq!(set_rank.encode(), vec![0x10, 1]);
        assert_eq!(SetRank::decode(&[0x10, 1]), Ok(set_rank));
    }

    #[test]
    fn group_update_survives_the_way_there() {
        let member = GroupMember { rank: 3, uri: "u".into(), incarnation: 5 };
        let update = GroupUpdate { map_version: 2, members: vec![member] };
        let each = GroupUpdate::encode_each(2, [(3, "u", 5)].into_iter());
        assert_eq!(each, update.clone().encode());
        assert_eq!(GroupUpdate::decode(&each), Ok(update));
    }

    #[test]
    fn status_is_negative_and_may_be_left_out() {
        assert_eq!(decode_status(&encode_status(-1003)), Ok(-1003));
        assert_eq!(encode_status(0), Vec::<u8>::new());
        assert_eq!(decode_status(&[]), Ok(0));
        assert!(decode_status(&[0x08]).is_err());
    }

    #[test]
    fn events_survive_the_way_there_with_every_detail() {
        let details = [
            RasDetail::None,
            RasDetail::Text("t".into()),
            RasDetail::Engine { instance: 1, errored: true, error: "e".into() },
            RasDetail::PoolService { replicas: vec![0, 2], version: 4 },
        ];
        for detail in details {
            let event = RasEvent {
                id: RasId::SWIM_RANK_DEAD,
                kind: RasType::StateChange,
                severity: RasSeverity::Error,
                rank: Some(4),
                incarnation: 8,
                detail,
                ..RasEvent::default()
            };
            let body = encode_cluster_event(3, event.clone());
            assert_eq!(decode_cluster_event(&body), Ok((3, Some(event))));
        }
    }

    #[test]
    fn no_rank_is_the_highest_number_on_the_wire() {
        assert_eq!(ras_to_proto(RasEvent::default()).rank, u32::MAX);
        let unknown_severity =
            shared::RasEvent { severity: 9, rank: NO_RANK, ..Default::default() };
        let event = ras_from_proto(unknown_severity);
        assert_eq!((event.rank, event.severity), (None, RasSeverity::Notice));
    }
}
