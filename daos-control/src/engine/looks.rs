//! One look at an engine's storage at a time, with the storage held from the look until nothing runs on it.
//!
//! Used by `instance`. A look mounts, writes and opens files on threads that cannot be called back, so one that was
//! begun is never cut off: its storage stays held and no second look begins before it has ended.

use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::gate::{StorageGate, StorageHold};
use super::instance::EngineDeeds;
use super::machine::Looked;

/// What comes back from the task of a look: the storage, unless it was given up before it was its turn, and what
/// was found.
pub(super) type Ended = Result<Option<(StorageHold, Looked)>, JoinError>;

/// The looks at one engine's storage, and the hold on it.
#[derive(Debug)]
pub(super) struct Looks {
    index: u32,
    deeds: Arc<dyn EngineDeeds>,
    gate: StorageGate,
    hold: Option<StorageHold>,
    task: JoinSet<Option<(StorageHold, Looked)>>,
    given_up: CancellationToken,
    again: bool,
}

impl Looks {
    /// No look yet, nothing held.
    pub fn new(index: u32, deeds: Arc<dyn EngineDeeds>, gate: StorageGate) -> Self {
        let (task, given_up) = (JoinSet::new(), CancellationToken::new());
        Self { index, deeds, gate, hold: None, task, given_up, again: false }
    }

    /// Begins a look, or, while one that was given up still runs, does so when that has ended.
    pub fn begin(&mut self) {
        if self.is_looking() {
            self.again = true;
            return;
        }
        self.given_up = CancellationToken::new();
        let (index, deeds, gate) = (self.index, Arc::clone(&self.deeds), self.gate.clone());
        let (held, given_up) = (self.hold.take(), self.given_up.clone());
        self.task.spawn(async move {
            let hold = match held {
                Some(hold) => hold,
                // A format may have the storage; that can take long and is not worth waiting for in vain.
                None => given_up.run_until_cancelled(gate.hold()).await?,
            };
            let found = deeds.look(index).await;
            Some((hold, found))
        });
    }

    /// Nobody wants to know any more what the present look finds.
    pub fn give_up(&mut self) {
        self.given_up.cancel();
        self.again = false;
    }

    /// Whether a look is under way, wanted or not.
    pub fn is_looking(&self) -> bool {
        !self.task.is_empty()
    }

    /// Completes when the present look ends; `None` when there is none. May be dropped and asked again.
    pub async fn next(&mut self) -> Option<Ended> {
        self.task.join_next().await
    }

    /// Takes the storage back from a look that ended, and says what it found if that is still wanted.
    ///
    /// # Errors
    /// The look ended by a defect of ours.
    pub fn settle(&mut self, ended: Ended) -> Result<Option<Looked>, JoinError> {
        let again = std::mem::take(&mut self.again);
        let found = ended?.map(|(hold, found)| {
            self.hold = Some(hold);
            found
        });
        if again {
            self.begin();
            return Ok(None);
        }
        Ok(found.filter(|_| !self.given_up.is_cancelled()))
    }

    /// Gives the storage back, unless a look has it.
    pub fn release(&mut self) {
        self.hold = None;
    }

    /// Waits for the look that was begun.
    pub async fn end(mut self) {
        self.give_up();
        while self.task.join_next().await.is_some() {}
    }
}
