//! Who is in a storage system: ranks, member states and the replicated system database.
//!
//! Deciding is pure ([`decide`]), the state is a deterministic machine ([`System`]), replication is a trait
//! ([`Replicate`]), and one task ties them together ([`Membership`]). Nothing here knows gRPC or protobuf.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use daos_membership::{
//!     Incarnation, JoinPurpose, JoinRequest, Local, LocalOptions, Membership, MembershipOptions,
//!     RedbStore, SystemClock, SystemIdentity,
//! };
//! use uuid::Uuid;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = tempfile::tempdir()?;
//! let system = SystemIdentity { uuid: Uuid::from_u128(1), name: "daos_server".into() };
//! let store = RedbStore::create(dir.path(), &system)?;
//! let replica =
//!     Local::start(Box::new(store), "10.0.0.1:10001".parse()?, LocalOptions::default()).await?;
//! let options = MembershipOptions::new(vec!["ofi+tcp".into()]);
//! let service = Membership::start(Arc::new(replica), Arc::new(SystemClock), options);
//!
//! let reply = service
//!     .handle()
//!     .join(JoinRequest {
//!         uuid: Uuid::from_u128(2),
//!         rank: None,
//!         incarnation: Incarnation(1),
//!         address: "10.0.0.1:10001".parse()?,
//!         fabric_uri: "ofi+tcp://10.0.0.1:31416".into(),
//!         secondary_fabric_uris: vec![],
//!         fabric_contexts: 3,
//!         secondary_fabric_contexts: vec![],
//!         fault_domain: "/host1".parse()?,
//!         check_mode: false,
//!         bootstrap: true,
//!         purpose: JoinPurpose::Join,
//!         old_address_answers: None,
//!     })
//!     .await?;
//! assert_eq!(reply.rank.get(), 0);
//! assert!(service.shutdown(Duration::from_secs(5)).await);
//! # Ok(())
//! # }
//! ```

mod address;
mod clock;
mod command;
#[cfg(feature = "testing")]
pub mod conformance;
pub mod decide;
mod error;
mod event;
mod fault_domain;
mod group_map;
#[cfg(feature = "testing")]
pub mod invariants;
mod member;
mod rank;
mod replica;
mod replicate;
mod service;
mod state;
mod store;
mod system;

pub use address::{ControlAddress, DEFAULT_CONTROL_PORT};
pub use clock::{Clock, SystemClock, Timestamp};
pub use command::{Applied, Change, Command, DeathReport, DecodeError, StateUpdate};
pub use decide::damping::Damping;
pub use decide::exclude::{ExcludeAction, ExcludeResult};
pub use decide::join::{JoinOutcome, JoinPurpose, JoinRequest};
pub use decide::liveness::Liveness;
pub use decide::resolve::{AdminExcludedRanks, NamedHost, QueryResult, Resolved, Selection};
pub use decide::states::{MemberResult, OnFailure, ReportOutcome};
pub use error::{
    AddressSyntaxError, AttributeError, ChangeRefused, FaultDomainError, JoinRefused,
    MembershipError, PropertyError, ProviderChangeRefused, RankSyntaxError, ReplicaIdSyntaxError,
    SelectionError, UnknownState, code,
};
pub use event::{Event, EventKind, EventNote, LONGEST_REASON};
pub use fault_domain::{FaultDomain, FaultDomainLevel, FaultDomainTree, MAX_LEVELS};
pub use group_map::{GroupMap, GroupMapEngine};
pub use member::Member;
pub use rank::{Incarnation, Rank, RankSet};
pub use replica::{RecordedReplicas, Replica, ReplicaId, ReplicaSet};
pub use replicate::{
    Answer, Append, Appended, Ask, Local, LocalOptions, MessageError, Quorum, QuorumOptions,
    ReceiveRefused, ReplicaBody, ReplicaMessage, ReplicaNetwork, ReplicaProgress,
    ReplicaUnreachable, ReplicasError, ReplicasStatus, Replicate, ReplicateError, RequestVote,
    Role, RoleInfo, SnapshotPart, SnapshotTaken, SystemCell, SystemView, Voted,
};
pub use service::{
    BATCH_LENGTH, JoinReply, JoinState, Membership, MembershipHandle, MembershipOptions,
    QUEUE_LENGTH,
};
pub use state::{MemberState, StateMask};
pub use store::{
    EntryContent, LogBounds, LogEntry, LogId, RedbStore, STORE_DIR, STORE_FILE, Store, StoreError,
    StoredSnapshot, Vote, backup, offline,
};
#[cfg(feature = "testing")]
pub use store::{MemDisk, MemStore};
pub use system::{
    Deaths, EVENT_BYTES_KEPT, EVENTS_KEPT, EventPage, HeldDeath, ManagementState, SnapshotError,
    System, SystemIdentity, SystemSnapshot,
};
