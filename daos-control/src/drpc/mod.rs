//! dRPC: the local protocol between the server, its engines and the agent (contract 3).
//!
//! Table of contents: framing (`frame`), methods (`method`), envelope (`call`), calling side (`client`), serving side
//! (`listener`), the bodies in plain words (`messages`, `devices`, `ras`). Knows neither gRPC nor storage.
//!
//! ```
//! use daos_control::drpc::{Client, Handler, Listener, ListenerLimits, Method, Module, Peer, Reply, Status};
//!
//! struct Ping;
//!
//! #[async_trait::async_trait]
//! impl Handler for Ping {
//!     fn modules(&self) -> &[Module] {
//!         &[Module::Management]
//!     }
//!     async fn handle(&self, method: Method, body: Vec<u8>, _peer: Peer) -> Result<Reply, Status> {
//!         match method {
//!             Method::PingRank => Ok(Reply::new(body)),
//!             _ => Err(Status::UnknownMethod),
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! let path = directory.path().join("engine.sock");
//! let listener = Listener::bind(&path, ListenerLimits::default())?.serve(std::sync::Arc::new(Ping))?;
//! let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(5);
//! assert_eq!(Client::new(&path).call(Method::PingRank, vec![7], deadline).await?, vec![7]);
//! listener.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod bind;
mod call;
mod client;
mod connection;
mod devices;
pub mod frame;
mod listener;
mod messages;
mod method;
mod ras;
mod ras_here;

pub use bind::{BindError, MAX_SOCKET_PATH_BYTES, check_path_length, remove_stale};
pub use call::{Call, EnvelopeError, Response, Status, UNREADABLE_SEQUENCE};
pub use client::{CallError, Client};
pub use devices::{EngineDevice, EngineDeviceHealth};
pub use listener::{Handler, Listener, ListenerHandle, ListenerLimits, Peer, Reply};
pub use messages::{
    BioError, BodyError, GroupMember, GroupUpdate, LogMasks, NotifyReady, SetRank,
    decode_cluster_event, decode_status, encode_cluster_event, encode_cluster_event_answer,
    encode_status,
};
#[cfg(feature = "server")]
pub(crate) use messages::{ras_from_proto, ras_to_proto};
pub use method::{Method, Module};
pub use ras::{RasDetail, RasEvent, RasId, RasSeverity, RasType};
