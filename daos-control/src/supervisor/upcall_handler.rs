//! Answers what arrives on the server's dRPC socket: the ready notice, events, questions (contract 3.6).
//!
//! Serves only processes that this supervisor started and still watches (W29). Called by the listener. Must not know
//! how engines are run (see `engine_task`).

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use daos_membership::Incarnation;

use super::engine_calls::Running;
use super::event::{EngineEventKind, EngineReady};
use super::fleet::Fleet;
use super::upcall_wire as wire;
use super::upcalls::{EngineUpcalls, UpcallError};
use crate::drpc::{
    BioError, BodyError, Client, Handler, MAX_SOCKET_PATH_BYTES, Method, Module, NotifyReady, Peer,
    Reply, Status, decode_cluster_event, encode_cluster_event_answer,
};
use crate::fault::Der;

pub(super) struct UpcallHandler {
    pub fleet: Arc<Fleet>,
    /// Without symbolic links.
    pub socket_dir: PathBuf,
    pub upcalls: Arc<dyn EngineUpcalls>,
}

/// Why a ready notice was refused; logged, since the engine only sees a failure (E30).
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("unreadable: {0}")]
    Unreadable(#[from] BodyError),
    #[error("index {index} is out of range: {engines} engines are configured")]
    Index { index: u32, engines: u32 },
    #[error("process {pid} says it is engine {said}, but was started as engine {index}")]
    OtherIndex { pid: u32, said: u32, index: u32 },
    #[error("it was ready before")]
    Surplus,
    #[error("socket path {0:?} is not an absolute path of at most {MAX_SOCKET_PATH_BYTES} bytes")]
    Path(PathBuf),
    #[error("socket {0:?} is not in the socket directory")]
    Directory(PathBuf),
    #[error("cannot look at socket {path:?}: {source}")]
    Inaccessible { path: PathBuf, source: std::io::Error },
    #[error("{0:?} is not a socket")]
    NotASocket(PathBuf),
}

#[async_trait]
impl Handler for UpcallHandler {
    fn modules(&self) -> &[Module] {
        // Management is known here but serves nothing, as in 2.8: its methods are unknown, not the module.
        &[Module::Server, Module::Security, Module::Management]
    }

    async fn handle(&self, method: Method, body: Vec<u8>, peer: Peer) -> Result<Reply, Status> {
        let Some(engine) = self.fleet.by_pid(peer.pid).await else {
            tracing::warn!(
                pid = peer.pid,
                uid = peer.uid,
                %method,
                "refused a dRPC call: the process is no engine of this server"
            );
            return Err(Status::Failure);
        };
        match method {
            Method::NotifyReady => self.notify_ready(&engine, &body).await,
            Method::ClusterEvent => self.cluster_event(&engine, &body).await,
            Method::BioError => bio_error(&engine, &body),
            _ => match self.answer(method, &body).await {
                Ok(answer) => answer.map(Reply::new),
                Err(error) => {
                    tracing::warn!(engine = engine.index, %method, %error, "refused an upcall");
                    Err(Status::UnreadableBody)
                }
            },
        }
    }
}

impl UpcallHandler {
    /// Checks the notice, answers, and only then tells anybody (contract 3.5).
    async fn notify_ready(&self, engine: &Arc<Running>, body: &[u8]) -> Result<Reply, Status> {
        let notice = match self.check_notice(engine, body) {
            Ok(notice) => notice,
            Err(refusal) => {
                tracing::error!(engine = engine.index, pid = engine.pid, %refusal, "refused a ready notice");
                if !matches!(refusal, Refusal::Surplus) {
                    engine.kill_unless_it_ends().await;
                }
                let unreadable = matches!(refusal, Refusal::Unreadable(_));
                return Err(if unreadable { Status::UnreadableBody } else { Status::Failure });
            }
        };
        let ready = EngineReady {
            uri: notice.uri,
            contexts: notice.contexts,
            targets: notice.targets,
            incarnation: Incarnation(notice.incarnation),
            secondary_uris: notice.secondary_uris,
            secondary_contexts: notice.secondary_contexts,
            check_mode: notice.check_mode,
        };
        let (fleet, index, pid) = (Arc::clone(&self.fleet), engine.index, engine.pid);
        Ok(Reply::new(Vec::new()).then(move || {
            fleet.events.send(index, EngineEventKind::Ready { pid, ready });
        }))
    }

    fn check_notice(&self, engine: &Running, body: &[u8]) -> Result<NotifyReady, Refusal> {
        let notice = NotifyReady::decode(body)?;
        let engines = self.fleet.len();
        if notice.index >= engines {
            return Err(Refusal::Index { index: notice.index, engines });
        }
        if notice.index != engine.index {
            let (pid, said, index) = (engine.pid, notice.index, engine.index);
            return Err(Refusal::OtherIndex { pid, said, index });
        }
        check_socket(&notice.listener, &self.socket_dir)?;
        let link = Arc::new(Client::new(&notice.listener));
        if !engine.becomes_ready(link, Some(notice.listener.clone())) {
            return Err(Refusal::Surplus);
        }
        Ok(notice)
    }

    async fn cluster_event(&self, engine: &Running, body: &[u8]) -> Result<Reply, Status> {
        let (sequence, event) = decode_cluster_event(body).map_err(|error| {
            tracing::warn!(engine = engine.index, %error, "refused an event");
            Status::UnreadableBody
        })?;
        let status = match event {
            Some(event) => {
                self.fleet.events.send_ras(engine.index, event).await;
                0
            }
            None => Der::INVAL.value(),
        };
        Ok(Reply::new(encode_cluster_event_answer(sequence, status)))
    }

    async fn answer(&self, method: Method, body: &[u8]) -> Result<wire::Answer, BodyError> {
        let upcalls = self.upcalls.as_ref();
        Ok(match method {
            Method::GetPoolService => match wire::pool_of_service_request(body)? {
                Ok(pool) => wire::pool_service_answer(upcalls.pool_service(pool).await),
                Err(status) => Err(status),
            },
            Method::PoolFindByLabel => {
                let label = wire::label_of_find_request(body)?;
                wire::find_pool_answer(upcalls.find_pool(&label).await)
            }
            Method::ListPools => {
                let include_all = wire::include_all_of_list_request(body)?;
                wire::list_pools_answer(upcalls.list_pools(include_all).await)
            }
            Method::GetSystemProperties => {
                let keys = wire::keys_of_properties_request(body)?;
                wire::properties_answer(upcalls.system_properties(&keys).await)
            }
            Method::ValidateCredentials => {
                let credential = wire::credential_of_request(body)?;
                wire::credential_answer(upcalls.validate_credential(credential).await)
            }
            Method::CheckListPools => {
                wire::check_list_request(body)?;
                wire::check_list_answer(upcalls.check_list_pools().await)
            }
            _ => return self.answer_checker(method, body).await,
        })
    }

    async fn answer_checker(&self, method: Method, body: &[u8]) -> Result<wire::Answer, BodyError> {
        let upcalls = self.upcalls.as_ref();
        let done: Result<(), UpcallError> = match method {
            Method::CheckRegisterPool => match wire::pool_of_register_request(body)? {
                Ok(pool) => upcalls.check_register_pool(pool).await,
                Err(refused) => Err(refused),
            },
            Method::CheckDeregisterPool => match wire::pool_of_deregister_request(body)? {
                Ok(pool) => upcalls.check_deregister_pool(pool).await,
                Err(refused) => Err(refused),
            },
            Method::CheckReport => match wire::report_of_request(body)? {
                Ok(report) => upcalls.check_report(report).await,
                Err(refused) => Err(refused),
            },
            _ => return Ok(Err(Status::UnknownMethod)),
        };
        Ok(wire::check_answer(done))
    }
}

fn check_socket(path: &Path, socket_dir: &Path) -> Result<(), Refusal> {
    if !path.is_absolute() || path.as_os_str().len() > MAX_SOCKET_PATH_BYTES {
        return Err(Refusal::Path(path.to_owned()));
    }
    let inaccessible = |source| Refusal::Inaccessible { path: path.to_owned(), source };
    let parent = path.parent().unwrap_or(path).canonicalize().map_err(inaccessible)?;
    if parent != socket_dir {
        return Err(Refusal::Directory(path.to_owned()));
    }
    let found = std::fs::symlink_metadata(path).map_err(inaccessible)?;
    if !found.file_type().is_socket() {
        return Err(Refusal::NotASocket(path.to_owned()));
    }
    Ok(())
}

/// One line for the administrator and nothing else (R172).
fn bio_error(engine: &Running, body: &[u8]) -> Result<Reply, Status> {
    let error = BioError::decode(body).map_err(|_| Status::UnreadableBody)?;
    if error.index != engine.index {
        return Err(Status::Failure);
    }
    tracing::error!(
        "engine {}: block I/O error on target {} (read: {}, write: {}, unmap: {})",
        error.index,
        error.target,
        error.read,
        error.write,
        error.unmap
    );
    Ok(Reply::new(Vec::new()))
}

#[cfg(test)]
#[path = "upcall_handler_test.rs"]
mod tests;
