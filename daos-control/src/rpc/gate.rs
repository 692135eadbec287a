//! What every handler does first and last: admit the caller, and turn the outcome into a reply (contract 1.5, 1.6).
//!
//! Handlers hand their work to [`Gate::serve`]; so none can forget the check, and a non-zero `status` in an answer
//! always travels as an error, as stock clients expect it.

use std::future::Future;
use std::net::SocketAddr;

use daos_proto::{ctl, daosx, mgmt, shared};
use tonic::{Request, Response, Status};

use super::access::Peer;
use super::admission::{Admission, Headers};
use crate::fault::Der;
use crate::wire::CallError;

/// What a handler answers to gRPC.
pub(super) type Reply<T> = Result<Response<T>, Status>;

/// An admitted request.
#[derive(Debug)]
pub(super) struct Call<T> {
    /// The request itself.
    pub message: T,
    /// Where the connection comes from, when it is a network connection.
    pub from: Option<SocketAddr>,
}

/// The check at the door of all services; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    admission: Admission,
}

impl Gate {
    /// For the system of this name.
    pub fn new(system: &str) -> Self {
        Self { admission: Admission::new(system) }
    }

    /// Admits a request, does the work and makes the reply.
    pub async fn serve<T, A, W, F>(&self, request: Request<T>, work: W) -> Reply<A>
    where
        T: Addressed,
        A: Answer,
        W: FnOnce(Call<T>) -> F,
        F: Future<Output = Result<A, CallError>>,
    {
        let call = self.admit(request)?;
        let answer = work(call).await?;
        match answer.status() {
            0 => Ok(Response::new(answer)),
            status => Err(CallError::Der(Der(status)).into()),
        }
    }

    /// Admits a request that is answered by a stream.
    pub async fn stream<T, A, W, F>(&self, request: Request<T>, work: W) -> Reply<A>
    where
        T: Addressed,
        W: FnOnce(Call<T>) -> F,
        F: Future<Output = Result<A, CallError>>,
    {
        Ok(Response::new(work(self.admit(request)?).await?))
    }

    fn admit<T: Addressed>(&self, request: Request<T>) -> Result<Call<T>, CallError> {
        let headers = Headers::of(request.metadata());
        let peer = request.extensions().get::<Peer>().copied();
        let from = request.remote_addr();
        let message = request.into_inner();
        self.admission.admit(&headers, peer, message.sys())?;
        Ok(Call { message, from })
    }
}

/// A request, which may name the system it is for.
pub(super) trait Addressed {
    /// The system it is for, if it says so.
    fn sys(&self) -> Option<&str>;
}

/// An answer, which may carry a status of the data plane.
pub(super) trait Answer {
    /// The status, 0 when there is none.
    fn status(&self) -> i32;
}

macro_rules! addressed {
    (sys: $($with:path),* ; none: $($without:path),* $(,)?) => {
        $(impl Addressed for $with { fn sys(&self) -> Option<&str> { Some(&self.sys) } })*
        $(impl Addressed for $without { fn sys(&self) -> Option<&str> { None } })*
        #[cfg(test)]
        const ADDRESSED: &[&str] = &[$(stringify!($with)),*];
        #[cfg(test)]
        const NOT_ADDRESSED: &[&str] = &[$(stringify!($without)),*];
    };
}

macro_rules! answers {
    (status: $($with:path),* ; none: $($without:path),* $(,)?) => {
        $(impl Answer for $with { fn status(&self) -> i32 { self.status } })*
        $(impl Answer for $without { fn status(&self) -> i32 { 0 } })*
        #[cfg(test)]
        const WITH_STATUS: &[&str] = &[$(stringify!($with)),*];
        #[cfg(test)]
        const WITHOUT_STATUS: &[&str] = &[$(stringify!($without)),*];
    };
}

addressed! {
    sys: ctl::SetLogMasksReq, mgmt::GetAttachInfoReq, mgmt::JoinReq, mgmt::LeaderQueryReq, mgmt::ListPoolsReq,
        mgmt::SystemDrainReq, mgmt::SystemEraseReq, mgmt::SystemExcludeReq, mgmt::SystemGetAttrReq,
        mgmt::SystemGetPropReq, mgmt::SystemQueryReq, mgmt::SystemSetAttrReq, mgmt::SystemSetPropReq,
        mgmt::SystemStartReq, mgmt::SystemStopReq, mgmt::SystemCleanupReq, daosx::v1::EventsReq,
        daosx::v1::FollowReq, daosx::v1::ExcludeReq, daosx::v1::ReplicaStatusReq, daosx::v1::EnlistReq,
        daosx::v1::DismissReq, daosx::v1::ListReplicasReq, daosx::v1::ChangeReplicasReq,
        daosx::v1::PreflightReq;
    none: daosx::v1::ReplicaMessage, ctl::NetworkScanReq, ctl::RanksReq, ctl::StorageFormatReq, ctl::StorageScanReq,
        daosx::v1::ApplyFormatReq, daosx::v1::PlanFormatReq, daosx::v1::StateReq, shared::ClusterEventReq,
        daosx::v1::RejoinReq, daosx::v1::PrepareNvmeReq, daosx::v1::ResetNvmeReq, daosx::v1::DevicesReq,
        daosx::v1::PmemScanReq,
}

answers! {
    status: ctl::SetLogMasksResp, mgmt::DaosResp, mgmt::GetAttachInfoResp, mgmt::JoinResp, mgmt::ListPoolsResp,
        shared::ClusterEventResp;
    none: ctl::NetworkScanResp, ctl::RanksResp, ctl::StorageFormatResp, ctl::StorageScanResp,
        daosx::v1::ApplyFormatResp, daosx::v1::PlanFormatResp, daosx::v1::StateResp, mgmt::LeaderQueryResp,
        mgmt::SystemCleanupResp, daosx::v1::EventsResp, daosx::v1::ExcludeResp, daosx::v1::RejoinResp,
        mgmt::SystemDrainResp, mgmt::SystemEraseResp, mgmt::SystemExcludeResp, mgmt::SystemGetAttrResp,
        mgmt::SystemGetPropResp, mgmt::SystemQueryResp, mgmt::SystemStartResp, mgmt::SystemStopResp,
        daosx::v1::ReplicaMessage, daosx::v1::ReplicaStatusResp, daosx::v1::EnlistResp,
        daosx::v1::DismissResp, daosx::v1::ReplicaSetResp, daosx::v1::PrepareNvmeResp,
        daosx::v1::PreflightResp, daosx::v1::DevicesResp,
        daosx::v1::PmemScanResp,
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::FileDescriptorSet;
    use tonic::Request;

    use super::{ADDRESSED, Gate, NOT_ADDRESSED, WITH_STATUS, WITHOUT_STATUS};
    use crate::fault::Der;
    use crate::wire::{CallError, Component, sign};
    use daos_proto::{ctl, mgmt};

    /// Whether a compiled message has a field of that name.
    fn has_field(path: &str, field: &str) -> bool {
        let set = FileDescriptorSet::decode(daos_proto::FILE_DESCRIPTOR_SET).expect("descriptors");
        let name = path.replace(' ', "").replace("::", ".");
        set.file
            .iter()
            .flat_map(|file| file.message_type.iter().map(move |message| (file.package(), message)))
            .find(|(package, message)| format!("{package}.{}", message.name()) == name)
            .unwrap_or_else(|| panic!("{name} is not compiled"))
            .1
            .field
            .iter()
            .any(|each| each.name() == field)
    }

    #[test]
    fn the_lists_follow_the_compiled_messages() {
        assert!(ADDRESSED.iter().all(|path| has_field(path, "sys")));
        assert!(NOT_ADDRESSED.iter().all(|path| !has_field(path, "sys")));
        assert!(WITH_STATUS.iter().all(|path| has_field(path, "status")));
        assert!(WITHOUT_STATUS.iter().all(|path| !has_field(path, "status")));
    }

    fn signed<T>(message: T) -> Request<T> {
        let mut request = Request::new(message);
        sign(request.metadata_mut(), Component::Admin);
        request
    }

    #[tokio::test]
    async fn a_non_zero_status_travels_as_an_error() {
        let gate = Gate::new("daos_server");
        let request = signed(mgmt::ListPoolsReq { sys: "daos_server".into() });
        let status = gate
            .serve(request, |_| async {
                Ok(mgmt::ListPoolsResp { status: Der::AGAIN.value(), ..Default::default() })
            })
            .await
            .expect_err("the status is not zero");
        assert_eq!(CallError::from_status(&status, "h"), CallError::Der(Der::AGAIN));
    }

    #[tokio::test]
    async fn work_is_not_begun_for_a_caller_who_is_not_admitted() {
        let gate = Gate::new("daos_server");
        let request = signed(mgmt::ListPoolsReq { sys: "other".into() });
        let refused = gate
            .serve(request, |_| async { panic!("begun") as Result<mgmt::ListPoolsResp, CallError> })
            .await
            .expect_err("another system");
        assert_eq!(CallError::from_status(&refused, "h").fault_code(), Some(603));
    }

    #[tokio::test]
    async fn the_work_sees_the_request() {
        let gate = Gate::new("n");
        let reply = gate
            .serve(
                signed(ctl::RanksReq { force: true, ..ctl::RanksReq::default() }),
                |call| async move {
                    assert_eq!((call.message.force, call.from), (true, None));
                    Ok(ctl::RanksResp::default())
                },
            )
            .await;
        assert!(reply.is_ok());
    }
}
