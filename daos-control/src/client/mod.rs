//! The administrator's side of the control plane: ask servers what they have, tell them what to do.
//!
//! `dmg` is a thin program over this module, and any other program can be one: nothing here prints, and no protobuf
//! type leaves it.
//!
//! ```no_run
//! use daos_control::client::{Client, ClientConfig, Consent, FormatMode, HostSet, SystemQuery, Transport};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config = ClientConfig { transport: Transport::Insecure, ..ClientConfig::default() };
//! let client = Client::new(&config)?.with_hosts(HostSet::parse("node[1-4]")?);
//!
//! // Look at what a format would do, then do exactly that, provided that nothing is lost.
//! let previews = client.plan_format(FormatMode::Waiting).await;
//! let reports = client.apply_format(previews.accept(Consent::NotAsked)?).await?;
//! for (host, error) in &reports.failures {
//!     eprintln!("{host}: {error}");
//! }
//!
//! for member in client.system_query(&SystemQuery::default()).await?.members {
//!     println!("rank {} at {} is {}", member.rank, member.address, member.state);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Requests to hosts go to all hosts side by side and return [`HostResults`], each host's result kept apart. Requests
//! to the management service find the leader themselves and are tried again by the rules of stock clients.

mod config;
pub(crate) mod connect;
mod devices;
mod dial;
mod error;
mod fanout;
mod hardware;
mod host_list;
mod hosts;
mod management;
mod network;
#[cfg(all(feature = "server", feature = "testing"))]
mod over;
#[cfg(feature = "server")]
mod peer;
mod preflight;
mod rank_set;
mod replicas;
mod retry;
mod server;
mod storage;
mod system;
pub(crate) mod wire;

pub use config::{
    ClientConfig, DEFAULT_PORT, DEFAULT_SYSTEM_NAME, MAX_SYSTEM_NAME, Transport, default_paths,
};
pub use devices::{DeviceState, HostDevices, Obstacle, PmemState};
pub use error::ClientError;
pub use fanout::HostResults;
pub use host_list::{HostAddr, HostListError, HostListProblem, HostSet, MAX_HOSTS};
pub use hosts::{Client, DEFAULT_TIMEOUT};
pub use network::{FabricInterface, HostFabric};
#[cfg(all(feature = "server", feature = "testing"))]
pub use over::{ask_over, join_over};
pub use rank_set::{MAX_RANK, RankSet, RankSetError};
pub use replicas::{AnsweredBy, ReplicaEntry, ReplicaKind, ReplicaSetStatus, ReplicaStatus};
pub use server::{EngineState, HostState, LogMasks};
pub use storage::{
    AcceptedFormat, Consent, ControllerState, DeviceHealth, DeviceOutcome, DevicePlan,
    DeviceReport, EnginePlan, EngineVerdict, FormatMode, FormatPlan, FormatPreview, FormatPreviews,
    FormatReport, HostStorage, Medium, MemoryInfo, NumaMemory, NvmeController, NvmeNamespace,
    NvmePrepare, NvmeReset, PreparedController, PreparedNode, PreparedNvme, Roles, ScanDetail,
    ScmModule, ScmMount, ScmNamespace, ScmRegion, SmdDevice,
};
pub use system::{
    Changes, Cleaned, Event, EventFollower, EventPage, EventRange, Followed, Leader, Member,
    MemberState, OperationReport, Pool, PoolRanks, RankOutcome, Selection, Standing, StateMask,
    StopMode, SystemQuery, SystemStatus, WaitFor, Waited,
};
