//! Bodies of the upcalls that a server answers, from protobuf and back (contract 3.6).
//!
//! Free functions: request body in, plain words out; plain words in, answer body out. Called by `upcall_handler`.

use std::collections::BTreeMap;

use daos_membership::Rank;
use daos_proto::{auth, mgmt, shared, srv};
use prost::Message;
use uuid::Uuid;

use super::upcalls::{CheckReport, Credential, PoolRecord, Token, UpcallError};
use crate::drpc::{BodyError, Status};
use crate::fault::Der;

/// A refusal on the level of dRPC, or one inside the body.
pub(super) type Answer = Result<Vec<u8>, Status>;

pub(super) fn pool_of_service_request(body: &[u8]) -> Result<Result<Uuid, Status>, BodyError> {
    let request = srv::GetPoolSvcReq::decode(body)?;
    Ok(Uuid::parse_str(&request.uuid).map_err(|_| Status::Failure))
}

pub(super) fn label_of_find_request(body: &[u8]) -> Result<String, BodyError> {
    Ok(srv::PoolFindByLabelReq::decode(body)?.label)
}

pub(super) fn include_all_of_list_request(body: &[u8]) -> Result<bool, BodyError> {
    Ok(srv::ListPoolsReq::decode(body)?.include_all)
}

pub(super) fn keys_of_properties_request(body: &[u8]) -> Result<Vec<String>, BodyError> {
    Ok(mgmt::SystemGetPropReq::decode(body)?.keys)
}

pub(super) fn check_list_request(body: &[u8]) -> Result<(), BodyError> {
    shared::CheckListPoolReq::decode(body)?;
    Ok(())
}

/// The pool to register; `Invalid` where identity, label or service make no sense.
pub(super) fn pool_of_register_request(
    body: &[u8],
) -> Result<Result<PoolRecord, UpcallError>, BodyError> {
    let request = shared::CheckRegPoolReq::decode(body)?;
    let replicas: Option<Vec<Rank>> = request.svcreps.iter().map(|&rank| Rank::new(rank)).collect();
    let (Ok(uuid), Some(replicas)) = (Uuid::parse_str(&request.uuid), replicas) else {
        return Ok(Err(UpcallError::Invalid));
    };
    if request.label.is_empty() || replicas.is_empty() {
        return Ok(Err(UpcallError::Invalid));
    }
    Ok(Ok(PoolRecord { uuid, label: request.label, replicas }))
}

pub(super) fn pool_of_deregister_request(
    body: &[u8],
) -> Result<Result<Uuid, UpcallError>, BodyError> {
    let request = shared::CheckDeregPoolReq::decode(body)?;
    Ok(Uuid::parse_str(&request.uuid).map_err(|_| UpcallError::Invalid))
}

pub(super) fn report_of_request(
    body: &[u8],
) -> Result<Result<CheckReport, UpcallError>, BodyError> {
    let Some(report) = shared::CheckReportReq::decode(body)?.report else {
        return Ok(Err(UpcallError::Invalid));
    };
    let encoded = report.encode_to_vec();
    Ok(Ok(CheckReport { sequence: report.seq, message: report.msg, encoded }))
}

pub(super) fn credential_of_request(body: &[u8]) -> Result<Credential, BodyError> {
    let credential = auth::ValidateCredReq::decode(body)?.cred.unwrap_or_default();
    let token = |wire: auth::Token| Token { flavor: wire.flavor, data: wire.data };
    Ok(Credential {
        token: credential.token.map(token),
        verifier: credential.verifier.map(token),
        origin: credential.origin,
    })
}

/// The bytes that a proof covers: the token alone, fields in order of their numbers.
pub(super) fn token_bytes(token: &Token) -> Vec<u8> {
    token_to_proto(token.clone()).encode_to_vec()
}

fn token_to_proto(token: Token) -> auth::Token {
    auth::Token { flavor: token.flavor, data: token.data }
}

pub(super) fn pool_service_answer(found: Result<Vec<Rank>, UpcallError>) -> Answer {
    let (status, found) = split(found)?;
    Ok(srv::GetPoolSvcResp { status, svcreps: numbers(found.unwrap_or_default()) }.encode_to_vec())
}

pub(super) fn find_pool_answer(found: Result<PoolRecord, UpcallError>) -> Answer {
    let (status, found) = split(found)?;
    let (uuid, svcreps) =
        found.map_or_else(Default::default, |pool| (pool.uuid.to_string(), numbers(pool.replicas)));
    Ok(srv::PoolFindByLabelResp { status, uuid, svcreps }.encode_to_vec())
}

/// This answer has no status: whatever is wrong fails the call.
pub(super) fn list_pools_answer(found: Result<Vec<PoolRecord>, UpcallError>) -> Answer {
    let pools = found.map_err(|_| Status::Failure)?.into_iter().map(|pool| {
        let (uuid, svcreps) = (pool.uuid.to_string(), numbers(pool.replicas));
        srv::list_pools_resp::Pool { uuid, label: pool.label, svcreps }
    });
    Ok(srv::ListPoolsResp { pools: pools.collect() }.encode_to_vec())
}

/// This answer has no status: whatever is wrong fails the call.
pub(super) fn properties_answer(found: Result<BTreeMap<String, String>, UpcallError>) -> Answer {
    let properties = found.map_err(|_| Status::Failure)?.into_iter().collect();
    Ok(mgmt::SystemGetPropResp { properties }.encode_to_vec())
}

pub(super) fn check_list_answer(found: Result<Vec<PoolRecord>, UpcallError>) -> Answer {
    let (status, found) = split(found)?;
    let pools = found.unwrap_or_default().into_iter().map(|pool| {
        let (uuid, svcreps) = (pool.uuid.to_string(), numbers(pool.replicas));
        shared::check_list_pool_resp::OnePool { uuid, label: pool.label, svcreps }
    });
    Ok(shared::CheckListPoolResp { status, pools: pools.collect() }.encode_to_vec())
}

/// For the answers that have a status and nothing else: `CheckRegPoolResp`, `CheckDeregPoolResp`, `CheckReportResp`.
pub(super) fn check_answer(done: Result<(), UpcallError>) -> Answer {
    let (status, _) = split(done)?;
    Ok(shared::CheckReportResp { status }.encode_to_vec())
}

pub(super) fn credential_answer(token: Result<Token, UpcallError>) -> Answer {
    let (status, token) = split(token)?;
    Ok(auth::ValidateCredResp { status, token: token.map(token_to_proto) }.encode_to_vec())
}

fn numbers(ranks: Vec<Rank>) -> Vec<u32> {
    ranks.into_iter().map(u32::from).collect()
}

fn split<T>(outcome: Result<T, UpcallError>) -> Result<(i32, Option<T>), Status> {
    match outcome {
        Ok(value) => Ok((0, Some(value))),
        Err(error) => Ok((status_of(&error)?, None)),
    }
}

fn status_of(error: &UpcallError) -> Result<i32, Status> {
    let der = match error {
        UpcallError::Nonexistent => Der::NONEXIST,
        UpcallError::Invalid => Der::INVAL,
        UpcallError::Exists => Der::EXIST,
        UpcallError::NotPermitted => Der::NO_PERM,
        UpcallError::NoCertificate => Der::NO_CERT,
        UpcallError::TryAgain => Der::AGAIN,
        UpcallError::Unreachable => Der::UNREACH,
        UpcallError::NotApplicable => Der::NOTAPPLICABLE,
        UpcallError::Misc(_) => Der::MISC,
        UpcallError::Failed(_) => return Err(Status::Failure),
    };
    Ok(der.value())
}
