//! Chances drawn from a seed. Each part of a run has dice of its own, so that a change in one leaves the others' alone.

use std::ops::Range;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// One sequence of chances.
#[derive(Debug)]
pub struct Dice(StdRng);

impl Dice {
    /// The sequence of this seed and this part of a run.
    #[must_use]
    pub fn new(seed: u64, part: u64) -> Self {
        Self(StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ part))
    }

    /// True in so many of a thousand cases.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        self.0.random_range(0..1000) < per_mille
    }

    /// A number of this range, which must not be empty.
    pub fn number(&mut self, range: Range<u64>) -> u64 {
        self.0.random_range(range)
    }

    /// A time of this range of milliseconds, which must not be empty.
    pub fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_micros(self.number(range.start * 1000..range.end * 1000))
    }

    /// One of these; `None` of none.
    pub fn pick<'a, T>(&mut self, among: &'a [T]) -> Option<&'a T> {
        if among.is_empty() {
            return None;
        }
        among.get(self.number(0..among.len() as u64) as usize)
    }

    /// Some of these, in another order.
    pub fn some<T: Clone>(&mut self, among: &[T], count: usize) -> Vec<T> {
        let mut rest = among.to_vec();
        let mut taken = Vec::new();
        while taken.len() < count && !rest.is_empty() {
            let at = self.number(0..rest.len() as u64) as usize;
            taken.push(rest.swap_remove(at));
        }
        taken
    }
}
