//! Tests that lock files and tests that start programs take turns: a child that is just being started holds copies of
//! our descriptors, and with them our locks, until it runs its program.

use std::sync::{Mutex, MutexGuard, PoisonError};

static TURN: Mutex<()> = Mutex::new(());

/// Waits for the turn; a test that failed in its turn does not keep it.
pub fn take() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
