//! Wire types.
#![allow(missing_docs)]
pub mod drpc {
    tonic::include_proto!("drpc");
}
pub mod daosx {
    pub mod v1 {
        tonic::include_proto!("daosx.v1");
    }
}
