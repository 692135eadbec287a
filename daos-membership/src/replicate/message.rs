//! What replicas tell each other, and its bytes on the wire.
//!
//! Made and understood by the quorum; carried by whoever implements [`super::ReplicaNetwork`]. The names of the
//! encoding are stable, since replicas of two versions talk to each other while a system is upgraded.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use crate::error::code;
use crate::replica::{RecordedReplicas, Replica, ReplicaId};
use crate::store::{LogEntry, LogId, Vote};

/// First bytes of every message: a mark, and the version of the encoding.
const MARK: [u8; 3] = *b"DSR";
const HEAD_LENGTH: usize = MARK.len() + 1 + size_of::<u32>();

/// One question or answer between two replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaMessage {
    /// The system that both are replicas of.
    pub system: Uuid,
    /// Who sends it.
    pub from: Replica,
    /// Whom it is meant for. Another replica at the same address refuses it.
    pub to: ReplicaId,
    /// What it says.
    pub body: ReplicaBody,
}

/// The content of a message. Each question has the answer that follows it here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplicaBody {
    /// A leader sends entries; without any it only shows that it leads.
    Append(Append),
    /// What became of them.
    Appended(Appended),
    /// A candidate asks for a vote.
    RequestVote(RequestVote),
    /// The answer.
    Voted(Voted),
    /// A leader sends a part of its snapshot.
    SnapshotPart(SnapshotPart),
    /// What became of it.
    SnapshotTaken(SnapshotTaken),
    /// Before it becomes a candidate, a replica asks whether that would be right.
    Ask(Ask),
    /// The answer.
    Answer(Answer),
}

/// Entries of a leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// Its mandate.
    pub vote: Vote,
    /// The entry before the first one here.
    pub previous: Option<LogId>,
    /// Up to where the log is committed.
    pub committed: Option<LogId>,
    /// The entries, without gaps.
    pub entries: Vec<LogEntry>,
}

/// What became of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Appended {
    /// All are durable here.
    All,
    /// They are durable up to this one; the rest did not fit.
    Upto(Option<LogId>),
    /// The entry before the first one is another one here, or missing.
    Conflict,
    /// A later leader or candidate is known here.
    Overruled(Vote),
}

/// A candidate asks for a vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestVote {
    /// The mandate it wants.
    pub vote: Vote,
    /// Its last entry.
    pub last: Option<LogId>,
}

/// The answer to a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voted {
    /// What the answering replica has promised.
    pub vote: Vote,
    /// Whether that is what was asked for.
    pub granted: bool,
    /// Its last entry.
    pub last: Option<LogId>,
}

/// A part of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotPart {
    /// The mandate of the leader.
    pub vote: Vote,
    /// The last entry that the snapshot holds.
    pub upto: LogId,
    /// The replicas as of then.
    pub replicas: RecordedReplicas,
    /// Size of the whole snapshot in bytes.
    pub total: u64,
    /// Where this part begins.
    pub offset: u64,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// What became of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotTaken {
    /// It is here, and the part at this offset comes next.
    Next(u64),
    /// It was the last one, and the snapshot is installed.
    Installed,
    /// A later leader or candidate is known here.
    Overruled(Vote),
}

/// A replica that misses its leader asks the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The term it knows of.
    pub term: u64,
    /// Its last entry.
    pub last: Option<LogId>,
}

/// What a replica answers to one that misses its leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether it would vote for the asking replica: it misses the leader as well and has no later entries.
    pub would_vote: bool,
    /// The term it knows of.
    pub term: u64,
    /// The leader it hears.
    pub leader: Option<Replica>,
    /// The newest committed entry that names the replicas.
    pub replicas_at: Option<LogId>,
    /// Whether the asking replica is one of those.
    pub member: bool,
}

/// Why bytes are no message that is understood here.
#[derive(Debug, Error)]
pub enum MessageError {
    /// A later version sent it.
    #[error(
        "a replica speaks version {found}, newer than {}, the newest known here",
        ReplicaMessage::VERSION
    )]
    Newer {
        /// Its version.
        found: u8,
    },
    /// Not readable at all.
    #[error("unreadable message of a replica: {what}")]
    Malformed {
        /// What is wrong with it.
        what: String,
    },
}

impl MessageError {
    /// Stable number.
    #[must_use]
    pub fn code(&self) -> i32 {
        code::REPLICA_MESSAGE
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        match self {
            Self::Newer { .. } => "bring the servers of all replicas to the same version",
            Self::Malformed { .. } => "look what else sends to this port",
        }
    }
}

/// Everything of a message but the bytes of entries and snapshots, which follow it as they are.
#[derive(Serialize, Deserialize)]
struct Head {
    system: Uuid,
    from: Replica,
    to: ReplicaId,
    body: HeadBody,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum HeadBody {
    Append {
        vote: Vote,
        previous: Option<LogId>,
        committed: Option<LogId>,
        /// Place and length of each entry.
        entries: Vec<(LogId, usize)>,
    },
    Appended(Appended),
    RequestVote(RequestVote),
    Voted(Voted),
    SnapshotPart {
        vote: Vote,
        upto: LogId,
        replicas: RecordedReplicas,
        total: u64,
        offset: u64,
    },
    SnapshotTaken(SnapshotTaken),
    Ask(Ask),
    Answer(Answer),
}

impl ReplicaMessage {
    /// The version of the encoding that is written.
    pub const VERSION: u8 = 1;

    /// Its bytes on the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let head = Head {
            system: self.system,
            from: self.from,
            to: self.to,
            body: HeadBody::of(&self.body),
        };
        // Every key of every map here is a text or a number, so there is nothing that JSON could refuse.
        let head = serde_json::to_vec(&head).unwrap_or_default();
        let mut bytes = Vec::with_capacity(HEAD_LENGTH + head.len() + self.body.bulk());
        bytes.extend_from_slice(&MARK);
        bytes.push(Self::VERSION);
        bytes.extend_from_slice(&u32::try_from(head.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend_from_slice(&head);
        match &self.body {
            ReplicaBody::Append(append) => {
                append.entries.iter().for_each(|entry| bytes.extend_from_slice(&entry.payload));
            }
            ReplicaBody::SnapshotPart(part) => bytes.extend_from_slice(&part.data),
            _ => {}
        }
        bytes
    }

    /// Reads it back.
    ///
    /// # Errors
    /// [`MessageError::Newer`] for what a later version sent, [`MessageError::Malformed`] for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        let malformed = |what: &str| MessageError::Malformed { what: what.to_owned() };
        let rest = bytes.strip_prefix(&MARK).ok_or_else(|| malformed("no such mark"))?;
        let (version, rest) = rest.split_first().ok_or_else(|| malformed("too short"))?;
        if *version > Self::VERSION {
            return Err(MessageError::Newer { found: *version });
        }
        let (length, rest) = rest.split_first_chunk().ok_or_else(|| malformed("too short"))?;
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let (head, bulk) = rest.split_at_checked(length).ok_or_else(|| malformed("too short"))?;
        let Head { system, from, to, body } = serde_json::from_slice(head)
            .map_err(|error| MessageError::Malformed { what: error.to_string() })?;
        let body = body.with(bulk).ok_or_else(|| malformed("lengths do not fit"))?;
        Ok(Self { system, from, to, body })
    }
}

impl ReplicaBody {
    /// How many bytes follow the head.
    fn bulk(&self) -> usize {
        match self {
            Self::Append(append) => append.entries.iter().map(|entry| entry.payload.len()).sum(),
            Self::SnapshotPart(part) => part.data.len(),
            _ => 0,
        }
    }
}

impl HeadBody {
    fn of(body: &ReplicaBody) -> Self {
        match body {
            ReplicaBody::Append(append) => {
                let entries = append.entries.iter().map(|entry| (entry.id, entry.payload.len()));
                Self::Append {
                    vote: append.vote,
                    previous: append.previous,
                    committed: append.committed,
                    entries: entries.collect(),
                }
            }
            ReplicaBody::Appended(appended) => Self::Appended(*appended),
            ReplicaBody::RequestVote(request) => Self::RequestVote(*request),
            ReplicaBody::Voted(voted) => Self::Voted(*voted),
            ReplicaBody::SnapshotPart(part) => Self::SnapshotPart {
                vote: part.vote,
                upto: part.upto,
                replicas: part.replicas.clone(),
                total: part.total,
                offset: part.offset,
            },
            ReplicaBody::SnapshotTaken(taken) => Self::SnapshotTaken(*taken),
            ReplicaBody::Ask(ask) => Self::Ask(*ask),
            ReplicaBody::Answer(answer) => Self::Answer(*answer),
        }
    }

    /// Puts the bytes back that follow the head. `None` when they are not as many as the head says.
    fn with(self, mut bulk: &[u8]) -> Option<ReplicaBody> {
        let body = match self {
            Self::Append { vote, previous, committed, entries: places } => {
                let mut entries = Vec::with_capacity(places.len());
                for (id, length) in places {
                    let (payload, rest) = bulk.split_at_checked(length)?;
                    bulk = rest;
                    entries.push(LogEntry { id, payload: payload.to_vec() });
                }
                ReplicaBody::Append(Append { vote, previous, committed, entries })
            }
            Self::SnapshotPart { vote, upto, replicas, total, offset } => {
                let data = std::mem::take(&mut bulk).to_vec();
                let part = SnapshotPart { vote, upto, replicas, total, offset, data };
                ReplicaBody::SnapshotPart(part)
            }
            Self::Appended(appended) => ReplicaBody::Appended(appended),
            Self::RequestVote(request) => ReplicaBody::RequestVote(request),
            Self::Voted(voted) => ReplicaBody::Voted(voted),
            Self::SnapshotTaken(taken) => ReplicaBody::SnapshotTaken(taken),
            Self::Ask(ask) => ReplicaBody::Ask(ask),
            Self::Answer(answer) => ReplicaBody::Answer(answer),
        };
        bulk.is_empty().then_some(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::ReplicaSet;

    fn id(index: u64) -> LogId {
        LogId { term: 3, index }
    }

    fn message(body: ReplicaBody) -> ReplicaMessage {
        let address = "10.0.0.1:10001".parse().unwrap();
        let from = Replica { id: ReplicaId(u64::MAX), address };
        ReplicaMessage { system: Uuid::from_u128(0xD405), from, to: ReplicaId(7), body }
    }

    fn all() -> Vec<ReplicaMessage> {
        let vote = Vote { term: 3, voted_for: Some(ReplicaId(5)), committed: true };
        let from = message(ReplicaBody::Appended(Appended::All)).from;
        let payloads = [&b"{}"[..], b"", b"\x00\xff"];
        let entries = payloads.iter().zip(2..);
        let entries = entries
            .map(|(payload, index)| LogEntry { id: id(index), payload: payload.to_vec() })
            .collect();
        let (previous, committed) = (Some(id(1)), None);
        let part = SnapshotPart {
            vote,
            upto: id(9),
            replicas: RecordedReplicas { at: Some(id(4)), set: ReplicaSet::alone(from) },
            total: 7,
            offset: 3,
            data: b"part".to_vec(),
        };
        let answer = Answer {
            would_vote: false,
            term: 4,
            leader: Some(from),
            replicas_at: Some(id(1)),
            member: true,
        };
        [
            ReplicaBody::Append(Append { vote, previous, committed, entries }),
            ReplicaBody::Appended(Appended::All),
            ReplicaBody::Appended(Appended::Upto(Some(id(3)))),
            ReplicaBody::Appended(Appended::Conflict),
            ReplicaBody::Appended(Appended::Overruled(vote)),
            ReplicaBody::RequestVote(RequestVote { vote, last: None }),
            ReplicaBody::Voted(Voted { vote, granted: true, last: Some(id(8)) }),
            ReplicaBody::SnapshotPart(part),
            ReplicaBody::SnapshotTaken(SnapshotTaken::Next(7)),
            ReplicaBody::SnapshotTaken(SnapshotTaken::Installed),
            ReplicaBody::SnapshotTaken(SnapshotTaken::Overruled(vote)),
            ReplicaBody::Ask(Ask { term: 3, last: Some(id(8)) }),
            ReplicaBody::Answer(answer),
        ]
        .into_iter()
        .map(message)
        .collect()
    }

    #[test]
    fn every_message_comes_back_from_its_bytes() {
        for message in all() {
            assert_eq!(ReplicaMessage::decode(&message.encode()).unwrap(), message);
        }
    }

    /// As the first release wrote it. A failure here means that two versions do not understand each other.
    #[test]
    fn the_encoding_has_stable_names() {
        let bytes = message(ReplicaBody::Ask(Ask { term: 3, last: Some(id(8)) })).encode();
        assert_eq!(&bytes[..4], b"DSR\x01");
        assert_eq!(
            std::str::from_utf8(&bytes[HEAD_LENGTH..]).unwrap(),
            r#"{"system":"00000000-0000-0000-0000-00000000d405","from":{"id":"ffffffffffffffff","address":"10.0.0.1:10001"},"to":"0000000000000007","body":{"ask":{"term":3,"last":{"term":3,"index":8}}}}"#
        );
    }

    #[test]
    fn damage_and_later_versions_are_refused() {
        for message in all() {
            let bytes = message.encode();
            for cut in 0..bytes.len() {
                // A snapshot part carries no length of its own; the offset of the next one shows what is missing.
                let is_part = matches!(message.body, ReplicaBody::SnapshotPart(_));
                let short = ReplicaMessage::decode(&bytes[..cut]);
                assert!(short.is_err() || is_part, "{cut} bytes of {message:?}");
            }
            let mut later = bytes.clone();
            later[3] += 1;
            let later = ReplicaMessage::decode(&later);
            assert!(matches!(later, Err(MessageError::Newer { found: 2 })));
            if message.body.bulk() == 0 {
                let longer = [&bytes[..], b"x"].concat();
                assert!(ReplicaMessage::decode(&longer).is_err());
            }
        }
    }
}
