//! Who passes a map on to whom: a tree over the ranks of the map, rooted at the engine that its server told.
//!
//! Pure. With eight branches 2,048 engines are reached in four steps, and nobody sends more than eight copies.

use super::map::PeerMap;

/// Branches of every node.
pub const BRANCHES: usize = 8;

/// The ranks to which `parent` passes the map on. Where there is no tree (root or parent unknown), nobody.
pub fn children(map: &PeerMap, root: u32, parent: u32) -> Vec<u32> {
    let (Some(root), Some(parent)) = (map.position(root), map.position(parent)) else {
        return Vec::new();
    };
    let size = map.members().len();
    let node = (parent + size - root) % size;
    let first = node.saturating_mul(BRANCHES).saturating_add(1);
    let nodes = first..first.saturating_add(BRANCHES).min(size);
    nodes.filter_map(|node| Some(map.members().get((node + root) % size)?.rank)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::map::Member;
    use super::*;

    #[test]
    fn every_rank_is_reached_once_and_in_few_steps() {
        for (size, steps) in [(1, 0), (2, 1), (9, 1), (10, 2), (2048, 4), (50_000, 6)] {
            let member = |rank| Member { rank: rank * 3, incarnation: 1, address: None };
            let map = PeerMap::new(1, (0..size).map(member).collect());
            for root in [0, (size / 2) * 3, (size - 1) * 3] {
                let mut reached = BTreeMap::from([(root, 0)]);
                let mut next = vec![root];
                while let Some(parent) = next.pop() {
                    let depth = reached[&parent] + 1;
                    let found = children(&map, root, parent);
                    assert!(found.len() <= BRANCHES);
                    for child in found {
                        assert_eq!(reached.insert(child, depth), None, "{child} twice");
                        next.push(child);
                    }
                }
                assert_eq!(reached.len(), size as usize);
                assert!(reached.values().all(|depth| *depth <= steps), "of {size}");
            }
        }
    }

    #[test]
    fn an_engine_outside_of_the_map_passes_nothing_on() {
        let member = |rank| Member { rank, incarnation: 1, address: None };
        let map = PeerMap::new(1, (0..5).map(member).collect());
        assert!(children(&map, 0, 9).is_empty());
        assert!(children(&map, 9, 0).is_empty());
    }
}
