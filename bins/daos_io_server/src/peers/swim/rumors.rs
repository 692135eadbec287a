//! What is told on: one rumor per rank, the least told first, each for a number of messages that grows with the
//! logarithm of the group.

use std::collections::BTreeMap;

use super::super::message::{MOST_RUMORS, Rumor};

/// Rumors and how often each was told.
#[derive(Debug, Default)]
pub struct Rumors(BTreeMap<u32, (Rumor, u32)>);

impl Rumors {
    /// A new one; it takes the place of what was said about that rank before.
    pub fn add(&mut self, rumor: Rumor) {
        self.0.insert(rumor.rank, (rumor, 0));
    }

    /// Drops what does not fit any more.
    pub fn retain(&mut self, fits: impl Fn(&Rumor) -> bool) {
        self.0.retain(|_, (rumor, _)| fits(rumor));
    }

    /// As many as one message carries, `first` before all, in a group with so many peers.
    pub fn some(&mut self, first: Option<Rumor>, peers: usize) -> Vec<Rumor> {
        let mut least_told: Vec<(u32, u32)> =
            self.0.iter().map(|(rank, (_, told))| (*told, *rank)).collect();
        least_told.sort_unstable();
        let mut chosen: Vec<Rumor> = first.into_iter().collect();
        let most_often = 4 * (peers.checked_ilog2().unwrap_or(0) + 2);
        for (_, rank) in least_told {
            if chosen.len() >= MOST_RUMORS {
                break;
            }
            let Some((rumor, told)) = self.0.get_mut(&rank) else { continue };
            *told += 1;
            let (rumor, is_old) = (*rumor, *told >= most_often);
            if is_old {
                self.0.remove(&rank);
            }
            if chosen.first().is_none_or(|first| first.rank != rank) {
                chosen.push(rumor);
            }
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::message::Claim;
    use super::*;

    fn rumor(rank: u32) -> Rumor {
        Rumor { rank, incarnation: 1, pulse: 0, claim: Claim::Suspect }
    }

    #[test]
    fn the_least_told_come_first_and_old_ones_are_dropped() {
        let mut rumors = Rumors::default();
        for rank in 0..30 {
            rumors.add(rumor(rank));
        }
        let first = rumors.some(None, 30);
        assert_eq!(first.len(), MOST_RUMORS);
        let second = rumors.some(None, 30);
        assert!(second.iter().all(|told| !first.contains(told)));
        let mut rounds = 0;
        while !rumors.some(None, 30).is_empty() {
            rounds += 1;
            assert!(rounds < 200, "told for ever");
        }
    }

    #[test]
    fn who_is_accused_hears_it_at_once_and_once() {
        let mut rumors = Rumors::default();
        rumors.add(rumor(1));
        rumors.add(rumor(2));
        assert_eq!(rumors.some(Some(rumor(2)), 2), [rumor(2), rumor(1)]);
    }
}
