//! Which core or NUMA node each engine is told to use (contract 4.2).

use crate::config::EngineConfig;

/// The `-f` and `-p` of one engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Placement {
    /// First core.
    pub first_core: Option<u32>,
    /// NUMA node.
    pub numa_node: Option<u32>,
}

/// Places all engines of a host together: a core named for any of them means that nodes hold for none.
///
/// `interface_nodes` has the NUMA node of each engine's network interface, as far as it is known.
#[must_use]
pub fn placement(engines: &[EngineConfig], interface_nodes: &[Option<u32>]) -> Vec<Placement> {
    let names_core = |engine: &EngineConfig| match (engine.first_core, engine.pinned_numa_node) {
        (Some(core), Some(_)) => core != 0,
        (Some(_), None) => true,
        (None, _) => false,
    };
    let by_core = engines.iter().any(names_core);
    let node_of = |index: usize| interface_nodes.get(index).copied().flatten();
    engines
        .iter()
        .enumerate()
        .map(|(index, engine)| {
            if by_core {
                return Placement { first_core: engine.first_core, numa_node: None };
            }
            let detected = node_of(index);
            let alone_on_first = engines.len() == 1 && detected == Some(0);
            let numa_node = match engine.pinned_numa_node {
                Some(node) => Some(node),
                None if alone_on_first => None,
                None => detected,
            };
            Placement { first_core: None, numa_node }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Placement, placement};
    use crate::config::testing::config;

    fn placed(keys: &[&str], nodes: &[Option<u32>]) -> Vec<Placement> {
        let mut text = String::from("provider: ofi+tcp\nfabric_iface: lo\nengines:\n");
        for (index, keys) in keys.iter().enumerate() {
            text.push_str(&format!(
                "- {{targets: 1, fabric_iface_port: {}, storage: [{{class: ram, scm_mount: /mnt/d{index}}}]{keys}}}\n",
                31416 + index
            ));
        }
        placement(&config(&text).engines, nodes)
    }

    fn core(core: u32) -> Placement {
        Placement { first_core: Some(core), numa_node: None }
    }

    fn node(node: u32) -> Placement {
        Placement { first_core: None, numa_node: Some(node) }
    }

    #[test]
    fn contract_4_2_cores_and_nodes() {
        let unplaced = Placement::default();
        for (keys, nodes, expected) in [
            (vec![""], vec![Some(0)], vec![unplaced]),
            (vec![""], vec![Some(1)], vec![node(1)]),
            (vec![""], vec![None], vec![unplaced]),
            (vec![", pinned_numa_node: 0"], vec![Some(0)], vec![node(0)]),
            (vec![", pinned_numa_node: 1"], vec![Some(0)], vec![node(1)]),
            (vec![", first_core: 0"], vec![Some(1)], vec![core(0)]),
            (vec![", first_core: 0, pinned_numa_node: 1"], vec![Some(0)], vec![node(1)]),
            (vec!["", ""], vec![Some(0), Some(1)], vec![node(0), node(1)]),
            (
                vec![", first_core: 1", ", pinned_numa_node: 1"],
                vec![Some(0), Some(1)],
                vec![core(1), unplaced],
            ),
        ] {
            assert_eq!(placed(&keys, &nodes), expected, "{keys:?} {nodes:?}");
        }
    }
}
