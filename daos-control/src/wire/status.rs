//! How an error travels: typed errors to a gRPC status with `google.rpc.ErrorInfo`, and back (contract 1.4, 1.5).
//!
//! The server's edge turns what a use-case refuses into a status; the client turns a status into the same type.
//! The texts of [`NotReady`] and the names in the details are matched by stock peers and must not change.

use std::collections::BTreeMap;

use daos_proto::rpc_status::{ErrorInfo, Status as RpcStatus};
use prost::Message;
use tonic::{Code, Status};

use super::connection::connection_fault;
use crate::fault::{Der, Fault, code};

const TYPE_URL: &str = "type.googleapis.com/google.rpc.ErrorInfo";
const REASON_FAULT: &str = "proto.fault.Fault";
const REASON_DER: &str = "proto.daos.DaosStatus";
const REASON_NOT_REPLICA: &str = "proto.system.ErrNotReplica";
const REASON_NOT_LEADER: &str = "proto.system.ErrNotLeader";
const REASON_POOL_NOT_FOUND: &str = "proto.system.ErrPoolNotFound";

/// Why a call failed, in the terms both ends share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// An error with a number and a remedy.
    #[error("{0}")]
    Fault(Fault),
    /// A status of the data plane.
    #[error("{0}")]
    Der(Der),
    /// The host called is no replica of the management service.
    #[error("not a DAOS Management Service replica (try one of {})", replicas.join(","))]
    NotReplica {
        /// Addresses of the replicas, in configuration order.
        replicas: Vec<String>,
    },
    /// The host called is a replica, but another one leads.
    #[error("not the DAOS Management Service leader (try {hint} or one of {})", replicas.join(","))]
    NotLeader {
        /// Address of the leader; empty during an election.
        hint: String,
        /// Addresses of the other replicas.
        replicas: Vec<String>,
    },
    /// No pool answers to that identity.
    #[error("pool {} not found", label.as_deref().or(uuid.as_deref()).unwrap_or("unknown"))]
    PoolNotFound {
        /// Rank that was asked, where one was.
        rank: Option<u32>,
        /// Pool uuid that was asked for.
        uuid: Option<String>,
        /// Pool label that was asked for.
        label: Option<String>,
    },
    /// The management service cannot answer yet.
    #[error("{0}")]
    NotReady(NotReady),
    /// Time ran out.
    #[error("{0}")]
    DeadlineExceeded(String),
    /// The caller gave up.
    #[error("{0}")]
    Cancelled(String),
    /// The caller's certificate does not allow this.
    #[error("{0}")]
    PermissionDenied(String),
    /// The caller did not show who it is.
    #[error("{0}")]
    Unauthenticated(String),
    /// The host does not have this method.
    #[error("{0}")]
    Unimplemented(String),
    /// Anything else: a text.
    #[error("{message}")]
    Other {
        /// The gRPC code it came with, 2 (unknown) for our own texts.
        code: i32,
        /// What happened.
        message: String,
    },
}

/// States of the management service that clients recognise by text (contract 1.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// The storage of engine 0 is not formatted, so there is no system database.
    #[error("system is uninitialized (storage format required?)")]
    Uninitialized,
    /// The database is there but the service does not answer, or has no members.
    #[error("raft service unavailable (not started yet?)")]
    RaftUnavailable,
    /// The leader has just been elected.
    #[error("leader step-up in progress (try again)")]
    SteppingUp,
    /// No rank is left to talk to.
    #[error("empty group map (all ranks excluded?)")]
    EmptyGroupMap,
}

impl NotReady {
    const ALL: [Self; 4] =
        [Self::Uninitialized, Self::RaftUnavailable, Self::SteppingUp, Self::EmptyGroupMap];

    fn found_in(message: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| message.contains(&state.to_string()))
    }
}

impl From<Fault> for CallError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Der> for CallError {
    fn from(status: Der) -> Self {
        Self::Der(status)
    }
}

#[cfg(feature = "server")]
impl From<daos_membership::MembershipError> for CallError {
    fn from(error: daos_membership::MembershipError) -> Self {
        use daos_membership::MembershipError as E;
        let listed = |replicas: &[daos_membership::ControlAddress]| {
            replicas.iter().map(ToString::to_string).collect()
        };
        match &error {
            E::NotReplica { replicas } => Self::NotReplica { replicas: listed(replicas) },
            E::NotLeader { hint, replicas } => Self::NotLeader {
                hint: hint.map(|leader| leader.to_string()).unwrap_or_default(),
                replicas: listed(replicas),
            },
            E::Uninitialized => Self::NotReady(NotReady::Uninitialized),
            E::Unavailable => Self::NotReady(NotReady::RaftUnavailable),
            E::SteppingUp => Self::NotReady(NotReady::SteppingUp),
            E::EmptyGroupMap => Self::NotReady(NotReady::EmptyGroupMap),
            other => Self::Fault(Fault::from(other)),
        }
    }
}

impl From<NotReady> for CallError {
    fn from(state: NotReady) -> Self {
        Self::NotReady(state)
    }
}

impl CallError {
    /// An error that is only a text; it travels as gRPC code 2.
    #[must_use]
    pub fn text(message: impl Into<String>) -> Self {
        Self::Other { code: Code::Unknown.into(), message: message.into() }
    }

    /// The fault number, where there is one.
    #[must_use]
    pub fn fault_code(&self) -> Option<i32> {
        match self {
            Self::Fault(fault) => Some(fault.code),
            _ => None,
        }
    }

    /// Whether the management service may answer soon without anybody doing anything: callers may try again.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::NotReady(state) => {
                matches!(state, NotReady::RaftUnavailable | NotReady::SteppingUp)
            }
            Self::Fault(fault) => fault.code == code::SERVER_DATA_PLANE_NOT_STARTED,
            _ => false,
        }
    }

    /// Whether there is no system to speak of yet: unavailable, or waiting for a format.
    #[must_use]
    pub fn is_not_ready(&self) -> bool {
        self.is_unavailable() || *self == Self::NotReady(NotReady::Uninitialized)
    }

    /// Whether the host could not be reached at all (504-508).
    #[must_use]
    pub fn is_connection_failure(&self) -> bool {
        self.fault_code().is_some_and(|number| {
            (code::CLIENT_CONNECTION_BAD_HOST..=code::CLIENT_CONNECTION_TIMED_OUT).contains(&number)
        })
    }

    /// The status that travels.
    #[must_use]
    pub fn to_status(&self) -> Status {
        let text = self.to_string();
        match self.detail() {
            Some(info) => annotated(text, &info),
            None => Status::new(self.grpc_code(), text),
        }
    }

    /// The error that a status means; `host` is named in connection failures.
    #[must_use]
    pub fn from_status(status: &Status, host: &str) -> Self {
        if let Some(error) = from_details(status.details()) {
            return error;
        }
        let message = status.message();
        if let Some(state) = NotReady::found_in(message) {
            return Self::NotReady(state);
        }
        if let Some(fault) = connection_fault(host, status) {
            return Self::Fault(fault);
        }
        let message = message.to_owned();
        match status.code() {
            Code::DeadlineExceeded => Self::DeadlineExceeded(message),
            Code::Cancelled => Self::Cancelled(message),
            Code::PermissionDenied => Self::PermissionDenied(message),
            Code::Unauthenticated => Self::Unauthenticated(message),
            Code::Unimplemented => Self::Unimplemented(message),
            other => Self::Other { code: other.into(), message },
        }
    }

    fn grpc_code(&self) -> Code {
        match self {
            Self::Fault(_)
            | Self::Der(_)
            | Self::NotReplica { .. }
            | Self::NotLeader { .. }
            | Self::PoolNotFound { .. } => Code::Internal,
            Self::NotReady(_) => Code::Unknown,
            Self::DeadlineExceeded(_) => Code::DeadlineExceeded,
            Self::Cancelled(_) => Code::Cancelled,
            Self::PermissionDenied(_) => Code::PermissionDenied,
            Self::Unauthenticated(_) => Code::Unauthenticated,
            Self::Unimplemented(_) => Code::Unimplemented,
            Self::Other { code, .. } => Code::from_i32(*code),
        }
    }

    fn detail(&self) -> Option<ErrorInfo> {
        let (reason, domain, pairs) = match self {
            Self::Fault(fault) => (
                REASON_FAULT,
                fault.domain.as_ref(),
                vec![
                    ("Domain", fault.domain.to_string()),
                    ("Code", fault.code.to_string()),
                    ("Description", fault.description.clone()),
                    ("Reason", fault.reason.clone()),
                    ("Resolution", fault.resolution.clone()),
                ],
            ),
            Self::Der(status) => (REASON_DER, "DAOS", vec![("Status", status.value().to_string())]),
            Self::NotReplica { replicas } => {
                (REASON_NOT_REPLICA, "DAOS", vec![("Replicas", list_text(replicas))])
            }
            Self::NotLeader { hint, replicas } => (
                REASON_NOT_LEADER,
                "DAOS",
                vec![("LeaderHint", hint.clone()), ("Replicas", list_text(replicas))],
            ),
            Self::PoolNotFound { rank, uuid, label } => {
                let info = serde_json::json!({"Rank": rank, "UUID": uuid, "Label": label});
                (REASON_POOL_NOT_FOUND, "DAOS", vec![("PoolInfo", info.to_string())])
            }
            _ => return None,
        };
        let metadata = pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Some(ErrorInfo { reason: reason.to_owned(), domain: domain.to_owned(), metadata })
    }
}

impl From<CallError> for Status {
    fn from(error: CallError) -> Self {
        error.to_status()
    }
}

fn annotated(message: String, info: &ErrorInfo) -> Status {
    let any = prost_types::Any { type_url: TYPE_URL.to_owned(), value: info.encode_to_vec() };
    let details =
        RpcStatus { code: Code::Internal.into(), message: message.clone(), details: vec![any] };
    Status::with_details(Code::Internal, message, details.encode_to_vec().into())
}

/// A JSON array, or `null` for an empty list as stock peers write it.
fn list_text(list: &[String]) -> String {
    if list.is_empty() {
        "null".to_owned()
    } else {
        serde_json::Value::from(list.to_vec()).to_string()
    }
}

fn read_list(text: Option<&String>) -> Vec<String> {
    text.and_then(|text| serde_json::from_str::<Option<Vec<String>>>(text).ok().flatten())
        .unwrap_or_default()
}

fn from_details(details: &[u8]) -> Option<CallError> {
    RpcStatus::decode(details)
        .ok()?
        .details
        .iter()
        .filter(|any| any.type_url == TYPE_URL)
        .filter_map(|any| ErrorInfo::decode(any.value.as_slice()).ok())
        .find_map(from_info)
}

fn from_info(info: ErrorInfo) -> Option<CallError> {
    let metadata = &info.metadata;
    match info.reason.as_str() {
        REASON_FAULT => Some(CallError::Fault(fault_from(metadata))),
        REASON_DER => Some(CallError::Der(Der(metadata.get("Status")?.parse().ok()?))),
        REASON_NOT_REPLICA => {
            Some(CallError::NotReplica { replicas: read_list(metadata.get("Replicas")) })
        }
        REASON_NOT_LEADER => Some(CallError::NotLeader {
            hint: metadata.get("LeaderHint").cloned().unwrap_or_default(),
            replicas: read_list(metadata.get("Replicas")),
        }),
        REASON_POOL_NOT_FOUND => Some(pool_not_found(metadata.get("PoolInfo"))),
        _ => None,
    }
}

fn fault_from(metadata: &BTreeMap<String, String>) -> Fault {
    let text = |key: &str| metadata.get(key).cloned().unwrap_or_default();
    let number = metadata.get("Code").and_then(|code| code.parse().ok()).unwrap_or(code::UNKNOWN);
    Fault {
        domain: text("Domain").into(),
        code: number,
        description: text("Description"),
        reason: text("Reason"),
        resolution: text("Resolution"),
    }
}

fn pool_not_found(info: Option<&String>) -> CallError {
    let value: serde_json::Value =
        info.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let text = |key: &str| value.get(key).and_then(|item| item.as_str()).map(str::to_owned);
    let rank =
        value.get("Rank").and_then(|item| item.as_u64()).and_then(|rank| rank.try_into().ok());
    CallError::PoolNotFound { rank, uuid: text("UUID"), label: text("Label") }
}

#[cfg(all(test, feature = "server"))]
mod tests {
    use daos_membership::{ControlAddress, JoinRefused, MembershipError, Rank};
    use uuid::Uuid;

    use super::{CallError, NotReady};

    #[test]
    fn what_the_membership_service_says_keeps_its_form() {
        let address = |text: &str| text.parse::<ControlAddress>().expect("an address");
        let replicas = vec![address("10.0.0.1:1"), address("10.0.0.2:1")];
        let listed = vec!["10.0.0.1:1".to_owned(), "10.0.0.2:1".to_owned()];
        let leads =
            MembershipError::NotLeader { hint: Some(replicas[1]), replicas: replicas.clone() };
        assert_eq!(
            CallError::from(leads),
            CallError::NotLeader { hint: "10.0.0.2:1".into(), replicas: listed.clone() }
        );
        let nobody = MembershipError::NotLeader { hint: None, replicas: Vec::new() };
        assert_eq!(
            CallError::from(nobody),
            CallError::NotLeader { hint: String::new(), replicas: Vec::new() }
        );
        let elsewhere = MembershipError::NotReplica { replicas };
        assert_eq!(CallError::from(elsewhere), CallError::NotReplica { replicas: listed });
        for (error, state) in [
            (MembershipError::Uninitialized, NotReady::Uninitialized),
            (MembershipError::Unavailable, NotReady::RaftUnavailable),
            (MembershipError::SteppingUp, NotReady::SteppingUp),
            (MembershipError::EmptyGroupMap, NotReady::EmptyGroupMap),
        ] {
            assert_eq!(error.to_string(), state.to_string(), "clients look for this text");
            assert_eq!(CallError::from(error), CallError::NotReady(state));
        }
        let rank = Rank::new(3).expect("a rank");
        let refused = JoinRefused::AdminExcluded { uuid: Uuid::nil(), rank };
        assert_eq!(CallError::from(MembershipError::Join(refused)).fault_code(), Some(622));
    }
}
