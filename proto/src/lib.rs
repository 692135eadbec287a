//! Wire types: the messages and services of DAOS 2.8 (contract 2) and our own `daosx.v1` beside them.
//!
//! Generated from `defs/`; nothing is written by hand here and nothing is decided. Only `daos-control` names these
//! types, in its `wire` and `rpc` modules and in its client.
//!
//! ```
//! use prost::Message;
//!
//! let request = daos_proto::mgmt::LeaderQueryReq { sys: "daos_server-2.8.0".into(), hosts: String::new() };
//! let bytes = request.encode_to_vec();
//! assert_eq!(daos_proto::mgmt::LeaderQueryReq::decode(&bytes[..]).unwrap(), request);
//! ```
//!
//! The features `client` and `server` (both on by default) choose which half of each service is compiled.

macro_rules! package {
    ($(#[$doc:meta])* $module:ident, $package:literal) => {
        $(#[$doc])*
        #[allow(missing_docs, clippy::all, clippy::pedantic)]
        pub mod $module {
            tonic::include_proto!($package);
        }
    };
}

package!(
    /// Envelope of the local protocol between server, engines and agent.
    drpc, "drpc");
package!(
    /// The management service and what it tells engines.
    mgmt, "mgmt");
package!(
    /// What is asked of one host.
    ctl, "ctl");
package!(
    /// Messages several services share.
    shared, "shared");
package!(
    /// Upcalls from an engine to its server.
    srv, "srv");
package!(
    /// Credentials.
    auth, "auth");
package!(
    /// Words of the consistency checker.
    chk, "chk");
package!(
    /// `google.rpc`: the form in which error details travel.
    rpc_status, "google.rpc");

/// What this control plane adds to DAOS.
pub mod daosx {
    package!(
        /// Version 1 of our own services.
        v1, "daosx.v1");
}

/// The encoded `FileDescriptorSet` of everything in `defs/`, for checks over all services and messages.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
