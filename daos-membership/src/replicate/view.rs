//! Shared sight of the applied state: one cell to write, any number of views to read.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use crate::command::{Applied, Command};
use crate::system::System;

/// The applied state of a replica. The body of [`crate::Replicate`] owns it.
#[derive(Debug)]
pub struct SystemCell(SystemView);

/// Read access to the applied state of a replica. Copies are cheap.
#[derive(Clone)]
pub struct SystemView(Arc<Shared>);

struct Shared {
    system: RwLock<System>,
    /// Version of the state, sent after every change of it.
    version: watch::Sender<u64>,
}

impl SystemCell {
    /// A cell that starts with this state.
    #[must_use]
    pub fn new(system: System) -> Self {
        let version = watch::Sender::new(system.data_version());
        Self(SystemView(Arc::new(Shared { system: RwLock::new(system), version })))
    }

    /// A view of it.
    #[must_use]
    pub fn view(&self) -> SystemView {
        self.0.clone()
    }

    /// Applies a command that is durable.
    pub fn apply(&self, command: &Command) -> Applied {
        let Shared { system, version } = &*self.0.0;
        let applied = system.write().unwrap_or_else(PoisonError::into_inner).apply(command);
        version.send_replace(applied.data_version);
        applied
    }

    /// Puts another state in place, for instance one received as a snapshot.
    pub fn replace(&self, new: System) {
        let Shared { system, version } = &*self.0.0;
        let data_version = new.data_version();
        *system.write().unwrap_or_else(PoisonError::into_inner) = new;
        version.send_replace(data_version);
    }
}

impl SystemView {
    /// Looks at the state. Keep it short: the next command waits for the end of `look`.
    pub fn read<T>(&self, look: impl FnOnce(&System) -> T) -> T {
        look(&self.0.system.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Wakes after every change of the state; carries its version. Ends with the replica and all views.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.version.subscribe()
    }
}

impl fmt::Debug for SystemView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read(|system| {
            f.debug_struct("SystemView").field("data_version", &system.data_version()).finish()
        })
    }
}
