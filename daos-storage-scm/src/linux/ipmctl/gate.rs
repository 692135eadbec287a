//! Lets one caller at a time into a library that may never return, and nobody wait for it for ever.
//!
//! Owns the turns and the time limit; `ipmctl` brings the calls. A call that hangs in firmware cannot be ended: its
//! thread stays until it does return, and until then everybody else is told at once. No second thread waits with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::ScmError;

/// The way into the library.
#[derive(Debug)]
pub(super) struct Gate {
    tool: &'static str,
    turn: Arc<Semaphore>,
    limit: Duration,
    /// The call that has the turn takes longer than allowed.
    overdue: Arc<AtomicBool>,
}

impl Gate {
    /// Calls may take as long as `limit`, and wait as long for their turn.
    pub(super) fn new(tool: &'static str, limit: Duration) -> Self {
        let turn = Arc::new(Semaphore::new(1));
        Self { tool, turn, limit, overdue: Arc::default() }
    }

    /// The result of `work`, done on a thread of its own.
    ///
    /// # Errors
    /// Those of `work`; [`ScmError::ToolSilent`] when it does not return in time, or an earlier one has not.
    pub(super) async fn pass<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ScmError> + Send + 'static,
    ) -> Result<T, ScmError> {
        let turn = self.turn().await?;
        let (answer, answered) = oneshot::channel();
        let overdue = Arc::clone(&self.overdue);
        let call = move || {
            let result = work();
            overdue.store(false, Ordering::Relaxed);
            drop(turn);
            // Whoever asked has given up; the library may be asked again.
            let _late = answer.send(result);
        };
        // A runtime that ends waits for its own threads, and would wait for this one for ever.
        let thread = std::thread::Builder::new().name("ipmctl".to_owned()).spawn(call);
        thread.map_err(|error| ScmError::system("start a thread for", self.tool, error))?;
        match tokio::time::timeout(self.limit, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => {
                Err(ScmError::Internal { what: format!("a call of {} broke off", self.tool) })
            }
            Err(_) => {
                self.overdue.store(true, Ordering::Relaxed);
                Err(self.silent())
            }
        }
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, ScmError> {
        let turn = Arc::clone(&self.turn);
        if self.overdue.load(Ordering::Relaxed) {
            return turn.try_acquire_owned().map_err(|_| self.silent());
        }
        match tokio::time::timeout(self.limit, turn.acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(self.silent()),
        }
    }

    fn silent(&self) -> ScmError {
        ScmError::ToolSilent { tool: self.tool.to_owned(), seconds: self.limit.as_secs() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_call_that_hangs_is_told_and_no_other_waits_for_it() {
        let gate = Gate::new("lib", Duration::from_millis(50));
        let (go, held) = mpsc::channel::<()>();
        let (done, ended) = mpsc::channel();
        let hangs = gate.pass(move || {
            // Ends when the test lets it, or is over.
            let _over = held.recv();
            let _over = done.send(());
            Ok(1)
        });
        assert_eq!(hangs.await.map_err(|error| error.code()), Err(1500));
        let at_once = tokio::time::timeout(Duration::from_millis(40), gate.pass(|| Ok(2))).await;
        let refused = at_once.expect("without waiting").expect_err("the first one still hangs");
        assert!(refused.to_string().contains("has not answered"), "{refused}");
        go.send(()).expect("it waits");
        ended.recv().expect("it returns");
        // The turn is given back right after that.
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while gate.turn.available_permits() == 0 && tokio::time::Instant::now() < deadline {
            tokio::task::yield_now().await;
        }
        assert_eq!(gate.pass(|| Ok(3)).await.map_err(|error| error.code()), Ok(3));
    }

    #[tokio::test]
    async fn calls_at_the_same_time_take_turns() {
        let gate = Arc::new(Gate::new("lib", Duration::from_secs(20)));
        let inside = Arc::new(AtomicBool::new(false));
        let calls = (0..8).map(|number| {
            let (gate, inside) = (Arc::clone(&gate), Arc::clone(&inside));
            tokio::spawn(async move {
                gate.pass(move || {
                    assert!(!inside.swap(true, Ordering::SeqCst), "two at once");
                    std::thread::yield_now();
                    inside.store(false, Ordering::SeqCst);
                    Ok(number)
                })
                .await
            })
        });
        for (number, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(call.await.expect("joined").map_err(|error| error.code()), Ok(number));
        }
    }

    #[tokio::test]
    async fn a_call_that_panics_gives_its_turn_back() {
        let gate = Gate::new("lib", Duration::from_secs(20));
        let broken: Result<(), _> = gate.pass(|| panic!("in a test")).await;
        assert_eq!(broken.map_err(|error| error.code()), Err(200));
        gate.pass(|| Ok(())).await.expect("the next one");
    }
}
