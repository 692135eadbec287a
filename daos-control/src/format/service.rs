//! `FormatService`: the one owner of formats on this host, and of everything that looks at storage for a start.
//!
//! Called by the gRPC edge (plan, apply) and by the engine tasks (bring up, reset). One format at a time (W2,
//! W4). A format that was begun runs to its end whether or not its client waits for it.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use daos_storage_nvme::BdevProvider;
use daos_storage_scm::ScmProvider;
use futures_util::future::join_all;
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::execute::{Hands, format_engine};
use super::observe::{available_memory, observe};
use super::plan::{AcceptedFormat, EnginePlan, FormatPlan, HostObserved, Verdict};
use super::report::{EngineReport, FormatReport};
use super::targets::{EngineTarget, FormatTargets};
use super::{FormatError, FormatRequest, FormatWatcher, Journal, StorageReady};
use crate::fault::Fault;
use crate::superblock::Superblock;

/// A hold on an engine's storage; dropped to give it back.
pub type StorageHold = Box<dyn Any + Send>;

/// Who may use an engine's storage: the engine, or a format.
#[async_trait]
pub trait StorageUse: Send + Sync + Debug {
    /// Takes the storage of engine `index`, so that the engine cannot start meanwhile. Waits while the engine only
    /// looks at its storage, which takes moments; never for an engine that runs.
    ///
    /// # Errors
    /// What the engine is doing with it, in words, e.g. `running`.
    async fn hold(&self, index: u32) -> Result<StorageHold, String>;
}

/// The system database of this host, which may lie on an engine's storage (contract 5.1).
#[async_trait]
pub trait SystemDatabase: Send + Sync + Debug {
    /// Closes it for good, because its storage is about to be formatted. Without one, does nothing.
    ///
    /// # Errors
    /// Why it stays open; nothing is formatted then.
    async fn close(&self) -> Result<(), Fault>;

    /// Opens again what was closed, because the format was given up before it changed anything. Without one, does
    /// nothing.
    ///
    /// # Errors
    /// Why it stays closed.
    async fn reopen(&self) -> Result<(), Fault>;
}

/// What a [`FormatService`] is made of.
#[derive(Debug)]
pub struct FormatParts {
    /// What may be formatted.
    pub targets: FormatTargets,
    /// Storage class memory.
    pub scm: Arc<dyn ScmProvider>,
    /// Block devices.
    pub bdev: Arc<dyn BdevProvider>,
    /// Where marks are kept.
    pub journal: Journal,
    /// Who uses what.
    pub storage: Arc<dyn StorageUse>,
    /// The system database.
    pub system: Arc<dyn SystemDatabase>,
    /// Told of each engine whose storage is formatted.
    pub ready: mpsc::Sender<StorageReady>,
    /// Told of each step.
    pub watcher: Arc<dyn FormatWatcher>,
}

/// Formats the storage of this host. Cheap to clone.
#[derive(Debug, Clone)]
pub struct FormatService {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) targets: FormatTargets,
    pub(super) hands: Hands,
    storage: Arc<dyn StorageUse>,
    ready: mpsc::Sender<StorageReady>,
    /// Held while a plan is made or carried out.
    turn: Arc<Mutex<()>>,
    running: TaskTracker,
}

impl FormatService {
    /// A service over these parts. Touches nothing yet.
    #[must_use]
    pub fn new(parts: FormatParts) -> Self {
        let FormatParts { targets, scm, bdev, journal, storage, system, ready, watcher } = parts;
        let hands = Hands { scm, bdev, journal, system, watcher };
        let (turn, running) = (Arc::default(), TaskTracker::new());
        Self { inner: Arc::new(Inner { targets, hands, storage, ready, turn, running }) }
    }

    /// What may be formatted, and where the small files of each engine lie.
    #[must_use]
    pub fn targets(&self) -> &FormatTargets {
        &self.inner.targets
    }

    /// What [`apply`](Self::apply) would do now. Changes nothing.
    ///
    /// # Errors
    /// [`FormatError::Busy`] while a format runs, [`FormatError::NothingToReplace`].
    pub async fn plan(&self, request: FormatRequest) -> Result<FormatPlan, FormatError> {
        let _turn = self.inner.take_turn()?;
        let (plan, _holds) = self.inner.make_plan(request).await?;
        Ok(plan)
    }

    /// Observes, plans and formats. With `shown`, only if the plan is still the one of that digest; without, as a
    /// client that sees no plans asks: what the server plans itself.
    ///
    /// Every engine gets its rows in the report; a bad device or engine stops no other (R92, R131, R147). Dropping
    /// the future does not stop a format that was begun.
    ///
    /// # Errors
    /// [`FormatError`] when no engine at all was formatted.
    pub async fn apply(
        &self,
        request: FormatRequest,
        shown: Option<&str>,
    ) -> Result<FormatReport, FormatError> {
        let turn = self.inner.take_turn()?;
        let (inner, shown) = (Arc::clone(&self.inner), shown.map(str::to_owned));
        let task = self.inner.running.spawn(async move {
            let report = inner.format(request, shown.as_deref()).await;
            drop(turn);
            report
        });
        match task.await {
            Ok(report) => report,
            Err(error) => Err(FormatError::Broken { what: error.to_string() }),
        }
    }

    /// Does something else with the storage of these engines: no format runs meanwhile, and none of them starts (W4). Dropping the
    /// future does not stop the work once it has begun.
    ///
    /// # Errors
    /// [`FormatError::Busy`], [`FormatError::EngineBusy`].
    pub async fn reserved<T: Send + 'static>(
        &self,
        engines: &[u32],
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, FormatError> {
        let turn = self.inner.take_turn()?;
        let mut holds = Vec::new();
        for engine in engines.iter().copied() {
            let hold = self.inner.storage.hold(engine).await;
            holds.push(hold.map_err(|doing| FormatError::EngineBusy { engine, doing })?);
        }
        let task = self.inner.running.spawn(async move {
            let done = work.await;
            drop((holds, turn));
            done
        });
        task.await.map_err(|error| FormatError::Broken { what: error.to_string() })
    }

    /// Waits until no format runs any more. The caller sets the bound.
    pub async fn drain(&self) {
        self.inner.running.close();
        self.inner.running.wait().await;
    }
}

impl Inner {
    fn take_turn(&self) -> Result<OwnedMutexGuard<()>, FormatError> {
        Arc::clone(&self.turn).try_lock_owned().map_err(|_| FormatError::Busy)
    }

    async fn make_plan(
        &self,
        request: FormatRequest,
    ) -> Result<(FormatPlan, BTreeMap<u32, StorageHold>), FormatError> {
        let mut holds = BTreeMap::new();
        let mut host = HostObserved::default();
        for target in &self.targets.engines {
            match self.storage.hold(target.index()).await {
                Ok(hold) => drop(holds.insert(target.index(), hold)),
                Err(doing) => drop(host.in_use.insert(target.index(), doing)),
            }
        }
        let engines: Vec<&EngineTarget> = self.targets.engines.iter().collect();
        let Hands { scm, bdev, journal, .. } = &self.hands;
        host.engines = observe(&engines, scm.as_ref(), bdev.as_ref(), journal).await;
        host.available_memory = available_memory();
        let plan = super::plan::plan(&self.targets, &host, request)?;
        for notice in &plan.notices {
            tracing::warn!("{notice}");
        }
        Ok((plan, holds))
    }

    async fn format(
        &self,
        request: FormatRequest,
        shown: Option<&str>,
    ) -> Result<FormatReport, FormatError> {
        let (plan, holds) = self.make_plan(request).await?;
        Ok(self.carry_out(plan.accept(shown)?, holds).await)
    }

    async fn carry_out(
        &self,
        accepted: AcceptedFormat,
        mut holds: BTreeMap<u32, StorageHold>,
    ) -> FormatReport {
        let plan = accepted.into_plan();
        let digest = plan.digest().to_owned();
        let replace = plan.request.replace;
        let engines = plan.engines.into_iter().filter_map(|engine| {
            let target = self.targets.engine(engine.index)?;
            let hold = holds.remove(&engine.index);
            Some(self.carry_out_engine(target, engine, digest.clone(), replace, hold))
        });
        FormatReport { engines: join_all(engines).await }
    }

    async fn carry_out_engine(
        &self,
        target: &EngineTarget,
        plan: EnginePlan,
        digest: String,
        replace: bool,
        hold: Option<StorageHold>,
    ) -> EngineReport {
        let found_ready = matches!(plan.verdict, Verdict::AlreadyFormatted(_)) && hold.is_some();
        // Kept with the storage, so that a restart between format and join does not forget it.
        let superblock =
            Superblock { replace, ..Superblock::new(Uuid::new_v4(), self.targets.system.as_str()) };
        let report = format_engine(&self.hands, target, plan, &digest, superblock).await;
        drop(hold);
        if report.formatted || found_ready {
            let (index, formatted) = (report.index, report.formatted);
            let ready = StorageReady { index, formatted, replace: replace && formatted };
            if self.ready.send(ready).await.is_err() {
                tracing::warn!("instance {index}: nobody waits for its storage any more");
            }
        }
        report
    }
}

/// Every engine's storage is free: for hosts without engine processes, and for tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct NobodyUses;

#[async_trait]
impl StorageUse for NobodyUses {
    async fn hold(&self, _index: u32) -> Result<StorageHold, String> {
        Ok(Box::new(()))
    }
}

/// No system database on this host.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSystemDatabase;

#[async_trait]
impl SystemDatabase for NoSystemDatabase {
    async fn close(&self) -> Result<(), Fault> {
        Ok(())
    }

    async fn reopen(&self) -> Result<(), Fault> {
        Ok(())
    }
}
