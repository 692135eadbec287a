//! The tree of all fault domains with the ranks in them, and its compressed form for engines.
//!
//! Owned by the system state. Ids are handed out in order of insertion and survive in snapshots, since
//! engines keep them in pool maps.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::FaultDomain;
use crate::rank::{Rank, RankSet};

const ROOT_ID: u32 = 1;
/// Set in the first number of the compressed form when there is a level above the host.
const HAS_PERFORMANCE_DOMAIN: u32 = 2;
/// Depth of a tree with hosts only: root and host, then the ranks.
const HOSTS_ONLY_DEPTH: u32 = 2;

/// Fault domains of the members; every node and every rank in it has an id (contract 6.5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultDomainTree {
    root: Node,
    /// The highest id in use; the next node gets the one after it.
    max_id: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Node {
    id: u32,
    #[serde(default)]
    domains: BTreeMap<String, Node>,
    /// The ranks directly in this domain, with the id of each leaf.
    #[serde(default)]
    ranks: BTreeMap<Rank, u32>,
}

impl Node {
    fn new(id: u32) -> Self {
        Self { id, domains: BTreeMap::new(), ranks: BTreeMap::new() }
    }

    fn rank_count(&self) -> usize {
        self.ranks.len() + self.domains.values().map(Self::rank_count).sum::<usize>()
    }

    fn highest_id(&self) -> u32 {
        let leaves = self.ranks.values().copied();
        let domains = self.domains.values().map(Self::highest_id);
        leaves.chain(domains).fold(self.id, u32::max)
    }
}

impl Default for FaultDomainTree {
    fn default() -> Self {
        Self { root: Node::new(ROOT_ID), max_id: ROOT_ID }
    }
}

impl FaultDomainTree {
    /// Puts a rank into its domain, making the nodes on the way that are not there yet.
    pub fn insert(&mut self, domain: &FaultDomain, rank: Rank) {
        let mut node = &mut self.root;
        let mut max_id = self.max_id;
        for level in domain.levels() {
            node = node.domains.entry(level.name.clone()).or_insert_with(|| {
                max_id += 1;
                Node::new(max_id)
            });
        }
        node.ranks.entry(rank).or_insert_with(|| {
            max_id += 1;
            max_id
        });
        self.max_id = max_id;
    }

    /// Takes a rank out of its domain. The domain itself stays, so that its id stays.
    pub fn remove(&mut self, domain: &FaultDomain, rank: Rank) {
        let mut node = Some(&mut self.root);
        for level in domain.levels() {
            node = node.and_then(|node| node.domains.get_mut(&level.name));
        }
        let freed = node.and_then(|node| node.ranks.remove(&rank));
        if freed == Some(self.max_id) {
            self.max_id = self.root.highest_id();
        }
    }

    /// How many ranks are in it.
    #[must_use]
    pub fn rank_count(&self) -> usize {
        self.root.rank_count()
    }

    /// The form that engines read with a pool's creation: metadata bits, then breadth first
    /// (level, id, number of children) for a domain and (rank) for a rank. Domains without any of `ranks`
    /// are left out; siblings are in order of their names as text, so `rank10` comes before `rank2`.
    ///
    /// # Errors
    /// The ranks of `ranks` that are not in the tree.
    pub fn compressed(&self, ranks: &RankSet) -> Result<Vec<u32>, RankSet> {
        let mut missing = ranks.clone();
        let Some(root) = Kept::of(&self.root, ranks, &mut missing) else {
            return if missing.is_empty() { Ok(vec![0, 1, ROOT_ID, 0]) } else { Err(missing) };
        };
        if !missing.is_empty() {
            return Err(missing);
        }
        let depth = root.depth();
        let mut out = vec![if depth > HOSTS_ONLY_DEPTH { HAS_PERFORMANCE_DOMAIN } else { 0 }];
        let mut waiting = VecDeque::from([(depth, &root)]);
        while let Some((level, node)) = waiting.pop_front() {
            match node {
                Kept::Rank(rank) => out.push(rank.get()),
                Kept::Domain { id, children } => {
                    let count = u32::try_from(children.len()).unwrap_or(u32::MAX);
                    out.extend([level, *id, count]);
                    waiting.extend(children.iter().map(|child| (level.saturating_sub(1), child)));
                }
            }
        }
        Ok(out)
    }
}

/// What is left of the tree when only some ranks count.
enum Kept {
    Rank(Rank),
    Domain { id: u32, children: Vec<Kept> },
}

impl Kept {
    fn of(node: &Node, ranks: &RankSet, missing: &mut RankSet) -> Option<Self> {
        let domains = node
            .domains
            .iter()
            .filter_map(|(name, child)| Some((name.clone(), Self::of(child, ranks, missing)?)));
        let mut children: Vec<(String, Self)> = domains.collect();
        for rank in node.ranks.keys().copied().filter(|rank| ranks.contains(*rank)) {
            missing.remove(rank);
            children.push((format!("rank{rank}"), Self::Rank(rank)));
        }
        children.sort_by(|a, b| a.0.cmp(&b.0));
        let children: Vec<Self> = children.into_iter().map(|(_, child)| child).collect();
        (!children.is_empty()).then_some(Self::Domain { id: node.id, children })
    }

    /// Edges from here to the deepest rank.
    fn depth(&self) -> u32 {
        match self {
            Self::Rank(_) => 0,
            Self::Domain { children, .. } => {
                1 + children.iter().map(Self::depth).max().unwrap_or_default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(members: &[(&str, u32)]) -> FaultDomainTree {
        let mut tree = FaultDomainTree::default();
        for (domain, rank) in members {
            tree.insert(&domain.parse().unwrap(), Rank::new(*rank).unwrap());
        }
        tree
    }

    fn compressed(tree: &FaultDomainTree, ranks: &str) -> Vec<u32> {
        tree.compressed(&ranks.parse().unwrap()).unwrap()
    }

    #[test]
    fn two_hosts_with_one_rank_each() {
        let tree = tree(&[("/host1", 0), ("/host2", 1)]);
        assert_eq!(compressed(&tree, "0-1"), [0, 2, 1, 2, 1, 2, 1, 1, 4, 1, 0, 1]);
    }

    #[test]
    fn one_host_as_the_engine_saw_it() {
        assert_eq!(compressed(&tree(&[("/h", 0)]), "0"), [0, 2, 1, 1, 1, 2, 1, 0]);
        let three = tree(&[("/h", 0), ("/h", 1), ("/h", 2)]);
        assert_eq!(compressed(&three, "0-2"), [0, 2, 1, 1, 1, 2, 3, 0, 1, 2]);
    }

    #[test]
    fn racks_set_the_performance_bit() {
        let tree = tree(&[("/r1/h1", 0), ("/r2/h2", 1)]);
        let expected = [2, 3, 1, 2, 2, 2, 1, 2, 5, 1, 1, 3, 1, 1, 6, 1, 0, 1];
        assert_eq!(compressed(&tree, "0-1"), expected);
    }

    #[test]
    fn only_the_asked_ranks_are_there() {
        let tree = tree(&[("/host1", 0), ("/host2", 1), ("/host2", 2)]);
        assert_eq!(compressed(&tree, "2"), [0, 2, 1, 1, 1, 4, 1, 2]);
        let missing = tree.compressed(&"1,7-8".parse().unwrap()).unwrap_err();
        assert_eq!(missing.to_string(), "7-8");
    }

    #[test]
    fn ranks_are_sorted_as_text() {
        let tree = tree(&[("/h", 2), ("/h", 10)]);
        assert_eq!(compressed(&tree, "2,10"), [0, 2, 1, 1, 1, 2, 2, 10, 2]);
    }

    #[test]
    fn a_domain_keeps_its_id_when_its_rank_leaves_and_returns() {
        let mut tree = tree(&[("/host1", 0), ("/host2", 1)]);
        let (host1, rank) = ("/host1".parse().unwrap(), Rank::BOOTSTRAP);
        tree.remove(&host1, rank);
        tree.insert(&host1, rank);
        assert_eq!(compressed(&tree, "0-1"), [0, 2, 1, 2, 1, 2, 1, 1, 4, 1, 0, 1]);
        tree.insert(&"/host3".parse().unwrap(), Rank::new(2).unwrap());
        assert_eq!(compressed(&tree, "2"), [0, 2, 1, 1, 1, 7, 1, 2]);
    }

    #[test]
    fn the_next_id_follows_the_highest_in_use() {
        let mut tree = tree(&[("/host1", 0), ("/host2", 1)]);
        tree.remove(&"/host2".parse().unwrap(), Rank::new(1).unwrap());
        tree.insert(&"/host3".parse().unwrap(), Rank::new(2).unwrap());
        assert_eq!(compressed(&tree, "2"), [0, 2, 1, 1, 1, 5, 1, 2]);
    }

    #[test]
    fn survives_a_snapshot() {
        let tree = tree(&[("/r1/h1", 0), ("/r1/h2", 1), ("/r2/h3", 12)]);
        let text = serde_json::to_string(&tree).unwrap();
        assert_eq!(serde_json::from_str::<FaultDomainTree>(&text).unwrap(), tree);
    }
}
