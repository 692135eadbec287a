//! Shared sight of the applied state: one cell to write, any number of views to read.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use crate::command::{Applied, Command};
use crate::system::System;

/// The applied state of a replica. The body of [`crate::Replicate`] owns it.
#[derive(Debug)]
pub struct SystemCell(Arc<RwLock<System>>);

/// Read access to the applied state of a replica. Copies are cheap.
#[derive(Clone)]
pub struct SystemView(Arc<RwLock<System>>);

impl SystemCell {
    /// A cell that starts with this state.
    #[must_use]
    pub fn new(system: System) -> Self {
        Self(Arc::new(RwLock::new(system)))
    }

    /// A view of it.
    #[must_use]
    pub fn view(&self) -> SystemView {
        SystemView(Arc::clone(&self.0))
    }

    /// Applies a command that is durable.
    pub fn apply(&self, command: &Command) -> Applied {
        self.0.write().unwrap_or_else(PoisonError::into_inner).apply(command)
    }

    /// Puts another state in place, for instance one received as a snapshot.
    pub fn replace(&self, system: System) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = system;
    }
}

impl SystemView {
    /// Looks at the state. Keep it short: the next command waits for the end of `look`.
    pub fn read<T>(&self, look: impl FnOnce(&System) -> T) -> T {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for SystemView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read(|system| {
            f.debug_struct("SystemView").field("data_version", &system.data_version()).finish()
        })
    }
}
