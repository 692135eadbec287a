//! What peers say to each other, and its bytes.
//!
//! Each exchange is one question and one answer over a connection of its own (see `frame`). Every message begins
//! with a greeting: who speaks, for which system, which map it has, and what it heard about others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::codec::{Malformed, Reader, put_text};
use super::map::{Member, PeerMap};

/// Rumors in one message.
pub const MOST_RUMORS: usize = 12;
/// Engines in one map.
pub const MOST_MEMBERS: usize = 1 << 17;

/// What is said of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It lives.
    Alive,
    /// It did not answer.
    Suspect,
    /// It is given up.
    Dead,
}

/// A claim about one start of a peer. The peer itself raises its pulse to contradict; the higher pulse counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rumor {
    /// About whom.
    pub rank: u32,
    /// About which start.
    pub incarnation: u64,
    /// The pulse it is about.
    pub pulse: u32,
    /// What is said.
    pub claim: Claim,
}

/// Who speaks and what it knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// Name of its system.
    pub system: String,
    /// Its rank.
    pub rank: u32,
    /// Its start.
    pub incarnation: u64,
    /// Its pulse.
    pub pulse: u32,
    /// Version of its map; 0 for none.
    pub map_version: u32,
    /// What it heard, at most [`MOST_RUMORS`].
    pub rumors: Vec<Rumor>,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Are you there?
    Ping,
    /// Is that rank there, for you?
    Relay {
        /// The rank.
        target: u32,
    },
    /// Here is a map; pass it on in the tree that has this root.
    Push {
        /// Rank of the engine that was told by its server.
        root: u32,
        /// The map.
        map: Arc<PeerMap>,
    },
    /// Give me your map.
    Fetch,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// I am there; also the answer to a push.
    Here,
    /// What a relayed ping came to: start and pulse of the target, if it answered.
    Relayed {
        /// Start and pulse.
        reached: Option<(u64, u32)>,
    },
    /// My map.
    Map(Arc<PeerMap>),
}

const PING: u8 = 1;
const RELAY: u8 = 2;
const PUSH: u8 = 3;
const FETCH: u8 = 4;
const HERE: u8 = 129;
const RELAYED: u8 = 130;
const MAP: u8 = 131;

/// Bytes of a question.
pub fn encode_question(greeting: &Greeting, question: &Question) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_greeting(&mut bytes, greeting);
    match question {
        Question::Ping => bytes.push(PING),
        Question::Relay { target } => {
            bytes.push(RELAY);
            bytes.extend(target.to_le_bytes());
        }
        Question::Push { root, map } => {
            bytes.push(PUSH);
            bytes.extend(root.to_le_bytes());
            put_map(&mut bytes, map);
        }
        Question::Fetch => bytes.push(FETCH),
    }
    bytes
}

/// Reads a question.
pub fn decode_question(bytes: &[u8]) -> Result<(Greeting, Question), Malformed> {
    let mut reader = Reader::new(bytes);
    let greeting = greeting(&mut reader)?;
    let question = match reader.u8()? {
        PING => Question::Ping,
        RELAY => Question::Relay { target: reader.u32()? },
        PUSH => Question::Push { root: reader.u32()?, map: map(&mut reader)?.into() },
        FETCH => Question::Fetch,
        _ => return Err(Malformed("an unknown question")),
    };
    reader.end()?;
    Ok((greeting, question))
}

/// Bytes of an answer.
pub fn encode_answer(greeting: &Greeting, answer: &Answer) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_greeting(&mut bytes, greeting);
    match answer {
        Answer::Here => bytes.push(HERE),
        Answer::Relayed { reached } => {
            bytes.push(RELAYED);
            bytes.push(u8::from(reached.is_some()));
            let (incarnation, pulse) = reached.unwrap_or_default();
            bytes.extend(incarnation.to_le_bytes());
            bytes.extend(pulse.to_le_bytes());
        }
        Answer::Map(map) => {
            bytes.push(MAP);
            put_map(&mut bytes, map);
        }
    }
    bytes
}

/// Reads an answer.
pub fn decode_answer(bytes: &[u8]) -> Result<(Greeting, Answer), Malformed> {
    let mut reader = Reader::new(bytes);
    let greeting = greeting(&mut reader)?;
    let answer = match reader.u8()? {
        HERE => Answer::Here,
        RELAYED => {
            let known = reader.u8()? != 0;
            let found = (reader.u64()?, reader.u32()?);
            Answer::Relayed { reached: known.then_some(found) }
        }
        MAP => Answer::Map(map(&mut reader)?.into()),
        _ => return Err(Malformed("an unknown answer")),
    };
    reader.end()?;
    Ok((greeting, answer))
}

fn put_greeting(bytes: &mut Vec<u8>, greeting: &Greeting) {
    put_text(bytes, &greeting.system);
    bytes.extend(greeting.rank.to_le_bytes());
    bytes.extend(greeting.incarnation.to_le_bytes());
    bytes.extend(greeting.pulse.to_le_bytes());
    bytes.extend(greeting.map_version.to_le_bytes());
    let rumors = greeting.rumors.iter().take(MOST_RUMORS);
    bytes.push(u8::try_from(rumors.len()).unwrap_or_default());
    for rumor in rumors {
        bytes.extend(rumor.rank.to_le_bytes());
        bytes.extend(rumor.incarnation.to_le_bytes());
        bytes.extend(rumor.pulse.to_le_bytes());
        bytes.push(match rumor.claim {
            Claim::Alive => 0,
            Claim::Suspect => 1,
            Claim::Dead => 2,
        });
    }
}

fn greeting(reader: &mut Reader<'_>) -> Result<Greeting, Malformed> {
    let system = reader.text()?.to_owned();
    let (rank, incarnation) = (reader.u32()?, reader.u64()?);
    let (pulse, map_version) = (reader.u32()?, reader.u32()?);
    let count = usize::from(reader.u8()?);
    if count > MOST_RUMORS {
        return Err(Malformed("too many rumors"));
    }
    let mut rumors = Vec::with_capacity(count);
    for _ in 0..count {
        let (rank, incarnation, pulse) = (reader.u32()?, reader.u64()?, reader.u32()?);
        let claim = match reader.u8()? {
            0 => Claim::Alive,
            1 => Claim::Suspect,
            2 => Claim::Dead,
            _ => return Err(Malformed("an unknown claim")),
        };
        rumors.push(Rumor { rank, incarnation, pulse, claim });
    }
    Ok(Greeting { system, rank, incarnation, pulse, map_version, rumors })
}

/// The fewest bytes an engine of a map can take: rank, start, and that it has no address.
const SMALLEST_MEMBER: usize = 13;

fn put_map(bytes: &mut Vec<u8>, map: &PeerMap) {
    bytes.extend(map.version().to_le_bytes());
    let members = &map.members()[..map.members().len().min(MOST_MEMBERS)];
    bytes.extend(u32::try_from(members.len()).unwrap_or_default().to_le_bytes());
    for member in members {
        bytes.extend(member.rank.to_le_bytes());
        bytes.extend(member.incarnation.to_le_bytes());
        match member.address.map(|address| (address.ip(), address.port())) {
            None => bytes.push(0),
            Some((IpAddr::V4(ip), port)) => {
                bytes.push(4);
                bytes.extend(ip.octets());
                bytes.extend(port.to_le_bytes());
            }
            Some((IpAddr::V6(ip), port)) => {
                bytes.push(6);
                bytes.extend(ip.octets());
                bytes.extend(port.to_le_bytes());
            }
        }
    }
}

fn map(reader: &mut Reader<'_>) -> Result<PeerMap, Malformed> {
    let version = reader.u32()?;
    let count = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
    if count > MOST_MEMBERS || count > reader.left() / SMALLEST_MEMBER {
        return Err(Malformed("a map says it has more engines than it can have"));
    }
    let mut members: Vec<Member> = Vec::with_capacity(count);
    for _ in 0..count {
        let (rank, incarnation) = (reader.u32()?, reader.u64()?);
        if members.last().is_some_and(|before| before.rank >= rank) {
            return Err(Malformed("the ranks of a map do not rise"));
        }
        let ip: Option<IpAddr> = match reader.u8()? {
            0 => None,
            4 => Some(Ipv4Addr::from(reader.array::<4>()?).into()),
            6 => Some(Ipv6Addr::from(reader.array::<16>()?).into()),
            _ => return Err(Malformed("an unknown kind of address")),
        };
        let address = match ip {
            Some(ip) => Some(SocketAddr::new(ip, reader.u16()?)),
            None => None,
        };
        members.push(Member { rank, incarnation, address });
    }
    Ok(PeerMap::new(version, members))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting() -> Greeting {
        let rumor = |rank, claim| Rumor { rank, incarnation: u64::MAX, pulse: 3, claim };
        Greeting {
            system: "daos_server".into(),
            rank: 5,
            incarnation: 1 << 60,
            pulse: 2,
            map_version: 9,
            rumors: vec![rumor(1, Claim::Alive), rumor(2, Claim::Suspect), rumor(3, Claim::Dead)],
        }
    }

    fn a_map() -> PeerMap {
        let member = |rank, address: Option<&str>| Member {
            rank,
            incarnation: 7,
            address: address.map(|text| text.parse().unwrap()),
        };
        PeerMap::new(
            4,
            vec![member(0, Some("10.0.0.1:3")), member(1, None), member(9, Some("[fd00::2]:4"))],
        )
    }

    #[test]
    fn every_message_survives_its_bytes() {
        let questions = [
            Question::Ping,
            Question::Relay { target: 8 },
            Question::Push { root: 1, map: a_map().into() },
            Question::Fetch,
        ];
        for question in questions {
            let bytes = encode_question(&greeting(), &question);
            assert_eq!(decode_question(&bytes), Ok((greeting(), question)));
        }
        let answers = [
            Answer::Here,
            Answer::Relayed { reached: None },
            Answer::Relayed { reached: Some((9, 1)) },
            Answer::Map(a_map().into()),
        ];
        for answer in answers {
            let bytes = encode_answer(&greeting(), &answer);
            assert_eq!(decode_answer(&bytes), Ok((greeting(), answer)));
        }
    }

    #[test]
    fn no_cut_or_longer_message_is_taken() {
        let question =
            encode_question(&greeting(), &Question::Push { root: 1, map: a_map().into() });
        for length in 0..question.len() {
            assert!(decode_question(&question[..length]).is_err(), "{length} bytes");
        }
        let longer = [&question[..], &[0]].concat();
        assert_eq!(decode_question(&longer), Err(Malformed("too long")));
        assert!(decode_answer(&question).is_err(), "a question is no answer");
    }

    #[test]
    fn a_count_that_cannot_be_true_reserves_nothing() {
        let mut bytes = encode_question(&greeting(), &Question::Ping);
        bytes.pop();
        bytes.push(PUSH);
        bytes.extend(1u32.to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
        bytes.extend(u32::MAX.to_le_bytes());
        assert!(decode_question(&bytes).is_err());
    }

    #[test]
    fn arbitrary_bytes_do_no_harm() {
        let mut state = 1u64;
        for length in 0..2000 {
            let mut bytes = Vec::with_capacity(length);
            for _ in 0..length {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                bytes.push((state >> 56) as u8);
            }
            if let Ok((greeting, question)) = decode_question(&bytes) {
                assert_eq!(encode_question(&greeting, &question), bytes);
            }
            if let Ok((greeting, answer)) = decode_answer(&bytes) {
                assert_eq!(encode_answer(&greeting, &answer).len(), bytes.len());
            }
        }
    }
}
