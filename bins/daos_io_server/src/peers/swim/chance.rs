//! Choices that nobody needs to foresee, repeatable from a seed.

use std::time::Duration;

/// A small generator of numbers (SplitMix64).
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 for a bound of 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        if bound == 0 { 0 } else { usize::try_from(self.next() % bound).unwrap_or(0) }
    }

    /// A part of a time.
    pub fn part_of(&mut self, time: Duration) -> Duration {
        let part = u32::try_from(self.below(1000)).unwrap_or(0);
        time * part / 1000
    }

    /// Up to `count` of these.
    pub fn some<T>(&mut self, mut from: Vec<T>, count: usize) -> Vec<T> {
        let mut chosen = Vec::with_capacity(count);
        while chosen.len() < count && !from.is_empty() {
            let at = self.below(from.len());
            chosen.push(from.swap_remove(at));
        }
        chosen
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last + 1);
            items.swap(last, other);
        }
    }
}

/// Takes each of some ranks in turn; every round is shuffled anew, so that nobody waits longer than two rounds.
#[derive(Debug, Default)]
pub struct Rotation {
    ranks: Vec<u32>,
    /// Those of the present round that are still to come, the next one last.
    left: Vec<u32>,
}

impl Rotation {
    /// Whom to take from, in the order of ranks. Who is new comes with the next round, who is gone is passed over.
    pub fn set(&mut self, ranks: Vec<u32>) {
        self.ranks = ranks;
    }

    /// The next rank.
    pub fn next(&mut self, chance: &mut Chance) -> Option<u32> {
        while let Some(rank) = self.left.pop() {
            if self.ranks.binary_search(&rank).is_ok() {
                return Some(rank);
            }
        }
        self.left.clone_from(&self.ranks);
        chance.shuffle(&mut self.left);
        self.left.pop()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_round_takes_each_once() {
        let (mut chance, mut rotation) = (Chance::new(1), Rotation::default());
        assert_eq!(rotation.next(&mut chance), None);
        rotation.set((0..20).collect());
        let round = |rotation: &mut Rotation, chance: &mut Chance, length| {
            (0..length).filter_map(|_| rotation.next(chance)).collect::<Vec<_>>()
        };
        let first = round(&mut rotation, &mut chance, 20);
        let second = round(&mut rotation, &mut chance, 20);
        assert_ne!(first, second);
        for found in [first, second] {
            assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), (0..20).collect());
        }
        rotation.set(vec![3, 4]);
        let found = round(&mut rotation, &mut chance, 2);
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), BTreeSet::from([3, 4]));
    }

    #[test]
    fn some_are_chosen_without_doubles() {
        let mut chance = Chance::new(7);
        for _ in 0..50 {
            let chosen = chance.some((0..5).collect(), 2);
            assert!(chosen.len() == 2 && chosen[0] != chosen[1]);
        }
        assert_eq!(chance.some(vec![1], 2), [1]);
        assert!(chance.part_of(Duration::from_secs(1)) < Duration::from_secs(1));
    }
}
