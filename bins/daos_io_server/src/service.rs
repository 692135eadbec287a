//! Answers the server's calls by the rules of `stand_in::Engine` and passes on what they cause.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use daos_control::drpc::{Handler, Method, Module, Peer, Reply, Status};
use daos_control::stand_in::{Effect, Engine};
use tokio::sync::mpsc;

/// The engine behind the dRPC listener.
pub struct Service {
    engine: Mutex<Engine>,
    effects: mpsc::UnboundedSender<Effect>,
}

impl Service {
    /// The service, and the effects of the calls it answers, each once its answer is sent.
    pub fn new(engine: Engine) -> (Arc<Self>, mpsc::UnboundedReceiver<Effect>) {
        let (effects, happened) = mpsc::unbounded_channel();
        (Arc::new(Self { engine: Mutex::new(engine), effects }), happened)
    }

    /// What the engine knows.
    pub fn engine(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Handler for Service {
    fn modules(&self) -> &[Module] {
        &[Module::Management]
    }

    async fn handle(&self, method: Method, body: Vec<u8>, _peer: Peer) -> Result<Reply, Status> {
        let answered = self.engine().handle(method, &body);
        tracing::info!(%method, effect = ?answered.effect, "call");
        let Some(answer) = answered.answer else { return std::future::pending().await };
        let (effects, effect) = (self.effects.clone(), answered.effect);
        Ok(Reply::new(answer?).then(move || {
            if effects.send(effect).is_err() {
                tracing::debug!(?effect, "the engine is ending");
            }
        }))
    }
}
