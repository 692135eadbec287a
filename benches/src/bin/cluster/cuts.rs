//! What can be wrong with a network, as the directed pairs of nodes between which packets are lost. Pure.

use std::collections::BTreeSet;
use std::fmt;

/// A host by its index, or the client, which comes after the last host.
pub type Node = usize;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// What `from` sends does not reach `to`; the other way round it does.
    OneWay {
        /// The sender.
        from: Node,
        /// The receiver.
        to: Node,
    },
    /// Nothing passes between two nodes.
    Link(Node, Node),
    /// A host hears no other host, but is heard.
    Deaf(Node),
    /// No other host hears it, but it hears them.
    Mute(Node),
    /// A host without any other host; clients still reach it.
    Alone(Node),
    /// These hosts on one side, the others on the other; clients reach both.
    Split(Vec<Node>),
    /// The client does not reach these hosts, which reach each other.
    Clients(Vec<Node>),
}

impl Cut {
    /// The directed pairs (from, to) that are severed, among `hosts` hosts and the client.
    pub fn pairs(&self, hosts: usize) -> BTreeSet<(Node, Node)> {
        let client = hosts;
        let others = |host: &Node| {
            let host = *host;
            (0..hosts).filter(move |other| *other != host)
        };
        let both = |a: Node, b: Node| [(a, b), (b, a)];
        match self {
            Self::OneWay { from, to } => [(*from, *to)].into(),
            Self::Link(a, b) => both(*a, *b).into(),
            Self::Deaf(host) => others(host).map(|other| (other, *host)).collect(),
            Self::Mute(host) => others(host).map(|other| (*host, other)).collect(),
            Self::Alone(host) => others(host).flat_map(|other| both(*host, other)).collect(),
            Self::Split(side) => {
                let rest = (0..hosts).filter(|host| !side.contains(host));
                rest.flat_map(|other| side.iter().flat_map(move |host| both(*host, other)))
                    .collect()
            }
            Self::Clients(hosts) => hosts.iter().flat_map(|host| both(client, *host)).collect(),
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |node: &Node| format!("s{}", node + 1);
        let names = |nodes: &[Node]| nodes.iter().map(name).collect::<Vec<_>>().join(" and ");
        match self {
            Self::OneWay { from, to } => {
                write!(f, "{} no longer reaches {}, but hears it", name(from), name(to))
            }
            Self::Link(a, b) => write!(f, "nothing passes between {} and {}", name(a), name(b)),
            Self::Deaf(host) => write!(f, "{} hears no host, but is heard", name(host)),
            Self::Mute(host) => write!(f, "no host hears {}, but it hears them", name(host)),
            Self::Alone(host) => write!(f, "{} is alone", name(host)),
            Self::Split(side) => write!(f, "{} split from the others", names(side)),
            Self::Clients(hosts) => write!(f, "the client no longer reaches {}", names(hosts)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cut;

    #[test]
    fn each_cut_severs_what_it_says() {
        let pairs = |cut: &Cut| cut.pairs(3).into_iter().collect::<Vec<_>>();
        assert_eq!(pairs(&Cut::OneWay { from: 2, to: 0 }), [(2, 0)]);
        assert_eq!(pairs(&Cut::Link(0, 2)), [(0, 2), (2, 0)]);
        assert_eq!(pairs(&Cut::Deaf(1)), [(0, 1), (2, 1)]);
        assert_eq!(pairs(&Cut::Mute(1)), [(1, 0), (1, 2)]);
        assert_eq!(pairs(&Cut::Alone(1)), [(0, 1), (1, 0), (1, 2), (2, 1)]);
        assert_eq!(pairs(&Cut::Split(vec![1])), pairs(&Cut::Alone(1)));
        assert_eq!(pairs(&Cut::Split(vec![0, 2])), pairs(&Cut::Alone(1)));
        assert_eq!(pairs(&Cut::Clients(vec![0, 1])), [(0, 3), (1, 3), (3, 0), (3, 1)]);
    }
}
