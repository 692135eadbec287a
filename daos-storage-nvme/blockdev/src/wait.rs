//! `wait_until`: the one way to wait for something that the kernel tells nobody about. Called by this crate and by the storage
//! crates; knows nothing of what is waited for.

use std::time::{Duration, Instant};

/// How long one look rests before the next.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks until there is an answer, at least once and for at most about `limit`; `None` when there was none in time.
///
/// For sysfs, device nodes and other programs' descriptors only: nothing there can be waited on. Whatever has an event is awaited.
pub fn wait_until<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = look() {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_the_waiting_and_the_limit_does_too() {
        let mut looks = 0;
        let third = wait_until(Duration::from_secs(60), || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(third, Some(3));
        let mut looks = 0;
        let none: Option<()> = wait_until(Duration::ZERO, || {
            looks += 1;
            None
        });
        assert_eq!((none, looks), (None, 1), "one look always");
    }
}
