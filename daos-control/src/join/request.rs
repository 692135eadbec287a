//! What an engine asks of the management service, from its superblock, its configuration and its announcement. Pure.

use std::net::SocketAddrV4;

use daos_membership::{Incarnation, Rank};
use uuid::Uuid;

use crate::superblock::Superblock;
use crate::supervisor::EngineReady;

/// A join as it travels (contract 6.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinAsk {
    /// The engine, from its superblock.
    pub uuid: Uuid,
    /// The rank it has, or is to get; `None` for any.
    pub rank: Option<Rank>,
    /// Index on its host.
    pub index: u32,
    /// Where its host's control server is reached; an unspecified IP stands for the sender's.
    pub address: SocketAddrV4,
    /// What it announced.
    pub ready: EngineReady,
    /// Where it fails with others.
    pub fault_domain: String,
    /// Whether it takes the place of a lost engine.
    pub replace: bool,
}

/// What the management service answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinAnswer {
    /// Its rank.
    pub rank: Rank,
    /// Version of the group map that first holds it.
    pub map_version: u32,
}

/// What is known about the host of an engine that joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The address it announces.
    pub address: SocketAddrV4,
    /// Its fault domain.
    pub fault_domain: String,
    /// Whether it makes the system: rank 0 is kept for its engine 0.
    pub bootstrap: bool,
}

/// Puts the request together.
///
/// An engine that has a rank asks for it. One that has none asks for rank 0 when it is engine 0 of the host that made the system,
/// for the configured rank when there is one (R162), and otherwise takes what it gets. A replacement, asked for now or by a
/// format before a restart, names no rank: it is found by what it has in common with the lost engine.
#[must_use]
pub fn ask_for(
    index: u32,
    superblock: &Superblock,
    wished: Option<Rank>,
    host: &Host,
    ready: &EngineReady,
    replace: bool,
) -> JoinAsk {
    let replace = replace || superblock.replace;
    let bootstrap = (host.bootstrap && index == 0).then_some(Rank::BOOTSTRAP);
    let known = superblock.joined_rank().and_then(Rank::new);
    let rank = if replace { None } else { known.or(bootstrap).or(wished) };
    JoinAsk {
        uuid: superblock.uuid,
        rank,
        index,
        address: host.address,
        ready: ready.clone(),
        fault_domain: host.fault_domain.clone(),
        replace,
    }
}

impl JoinAsk {
    /// Which start of the engine asks.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.ready.incarnation
    }
}

#[cfg(test)]
mod tests {
    use daos_membership::{Incarnation, Rank};
    use uuid::Uuid;

    use super::{Host, ask_for};
    use crate::superblock::Superblock;
    use crate::supervisor::EngineReady;

    fn ready() -> EngineReady {
        EngineReady {
            uri: "ofi+tcp://127.0.0.1:1".to_owned(),
            contexts: 1,
            targets: 1,
            incarnation: Incarnation(3),
            secondary_uris: vec![],
            secondary_contexts: vec![],
            check_mode: false,
        }
    }

    fn host(bootstrap: bool) -> Host {
        Host {
            address: "127.0.0.1:10001".parse().unwrap(),
            fault_domain: "/a".to_owned(),
            bootstrap,
        }
    }

    fn rank(number: u32) -> Option<Rank> {
        Rank::new(number)
    }

    #[test]
    fn r162_the_rank_of_the_superblock_is_asked_for_again() {
        let mut superblock = Superblock::new(Uuid::nil(), "daos_server");
        superblock.rank = Some(5);
        superblock.valid_rank = true;
        assert_eq!(ask_for(0, &superblock, rank(9), &host(true), &ready(), false).rank, rank(5));
    }

    #[test]
    fn rank_0_is_for_engine_0_of_the_host_that_makes_the_system() {
        let superblock = Superblock::new(Uuid::nil(), "daos_server");
        assert_eq!(ask_for(0, &superblock, None, &host(true), &ready(), false).rank, rank(0));
        assert_eq!(ask_for(1, &superblock, None, &host(true), &ready(), false).rank, None);
        assert_eq!(ask_for(0, &superblock, None, &host(false), &ready(), false).rank, None);
        assert_eq!(ask_for(0, &superblock, rank(9), &host(false), &ready(), false).rank, rank(9));
    }

    #[test]
    fn a_replacement_names_no_rank() {
        let superblock = Superblock::new(Uuid::nil(), "daos_server");
        let ask = ask_for(1, &superblock, rank(9), &host(false), &ready(), true);
        assert_eq!((ask.rank, ask.replace), (None, true));
        let formatted_so = Superblock { replace: true, ..superblock };
        let ask = ask_for(1, &formatted_so, rank(9), &host(false), &ready(), false);
        assert_eq!((ask.rank, ask.replace), (None, true), "a restart forgets nothing");
    }
}
