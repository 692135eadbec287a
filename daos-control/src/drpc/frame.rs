//! The framing of dRPC: one message travels as one or more records, each behind a 24-byte header (contract 3.1).
//!
//! Pure: bytes in, bytes or a refusal out. Called by the client and the listener; must not know sockets nor what a
//! message means.

use thiserror::Error;

/// Length of the header that opens every record.
pub const HEADER_BYTES: usize = 24;
/// Longest record a peer sends or accepts; a receive buffer needs one byte more to see that a record is longer.
pub const MAX_RECORD_BYTES: usize = 131_072;
/// Longest piece of a message that fits one record.
pub const MAX_CHUNK_BYTES: usize = MAX_RECORD_BYTES - HEADER_BYTES;
/// Longest message accepted unless told otherwise: a group map of over a hundred thousand ranks.
pub const DEFAULT_MESSAGE_LIMIT: usize = 16 * 1024 * 1024;

/// Why a record was refused. The message it belongs to is lost, the connection is of no further use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// Not even a header.
    #[error("record of {got} bytes is shorter than its {HEADER_BYTES}-byte header")]
    NoHeader {
        /// Length of the record.
        got: usize,
    },
    /// The record did not fit [`MAX_RECORD_BYTES`].
    #[error("record is longer than {MAX_RECORD_BYTES} bytes")]
    RecordTooLong,
    /// Header and record disagree on the length of the piece.
    #[error("header announces {announced} bytes in this record, {got} are there")]
    ChunkLength {
        /// What the header says.
        announced: u64,
        /// What follows the header.
        got: usize,
    },
    /// A message of no records cannot arrive.
    #[error("header announces a message of zero records")]
    NoChunks,
    /// A message in several records has nothing in one of them.
    #[error("record {index} of {total} is empty")]
    EmptyChunk {
        /// Position of the record, from 0.
        index: u32,
        /// Announced number of records.
        total: u32,
    },
    /// A record was lost, doubled or overtaken.
    #[error("record {got} arrived where record {expected} was due")]
    OutOfOrder {
        /// Position that was due.
        expected: u32,
        /// Position in the header.
        got: u32,
    },
    /// The totals must be the same in every record of a message.
    #[error("the announced totals changed in the middle of a message")]
    TotalsChanged,
    /// The records together are not as long as announced.
    #[error("the records hold {got} bytes of a message announced as {announced}")]
    MessageLength {
        /// What every header says.
        announced: u64,
        /// What arrived so far.
        got: u64,
    },
    /// The message would pass the limit of this side.
    #[error("message of {announced} bytes is longer than the limit of {limit}")]
    MessageTooLong {
        /// What the header says.
        announced: u64,
        /// The limit of this side.
        limit: usize,
    },
}

/// The header of one record, in the byte order of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Length of the whole message.
    pub message_bytes: u64,
    /// Length of the piece in this record.
    pub chunk_bytes: u64,
    /// Position of this record, from 0.
    pub index: u32,
    /// Number of records of the message, at least 1.
    pub total: u32,
}

impl Header {
    /// The 24 bytes on the wire.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&self.message_bytes.to_ne_bytes());
        bytes[8..16].copy_from_slice(&self.chunk_bytes.to_ne_bytes());
        bytes[16..20].copy_from_slice(&self.index.to_ne_bytes());
        bytes[20..].copy_from_slice(&self.total.to_ne_bytes());
        bytes
    }

    /// Splits a record into its header and its piece; refuses what no honest peer sends.
    pub fn decode(record: &[u8]) -> Result<(Self, &[u8]), FrameError> {
        if record.len() > MAX_RECORD_BYTES {
            return Err(FrameError::RecordTooLong);
        }
        let no_header = FrameError::NoHeader { got: record.len() };
        let (message_bytes, rest) = record.split_first_chunk().ok_or(no_header)?;
        let (chunk_bytes, rest) = rest.split_first_chunk().ok_or(no_header)?;
        let (index, rest) = rest.split_first_chunk().ok_or(no_header)?;
        let (total, piece) = rest.split_first_chunk().ok_or(no_header)?;
        let header = Self {
            message_bytes: u64::from_ne_bytes(*message_bytes),
            chunk_bytes: u64::from_ne_bytes(*chunk_bytes),
            index: u32::from_ne_bytes(*index),
            total: u32::from_ne_bytes(*total),
        };
        if header.chunk_bytes != piece.len() as u64 {
            return Err(FrameError::ChunkLength {
                announced: header.chunk_bytes,
                got: piece.len(),
            });
        }
        if header.total == 0 {
            return Err(FrameError::NoChunks);
        }
        if header.total > 1 && piece.is_empty() {
            return Err(FrameError::EmptyChunk { index: header.index, total: header.total });
        }
        Ok((header, piece))
    }
}

/// Cuts a message into records: header and piece, in order. An empty message is one record of a bare header.
///
/// # Panics
/// Never in practice: only for a message of more than 2^32 records (512 TiB).
pub fn records(message: &[u8]) -> impl Iterator<Item = (Header, &[u8])> {
    let total = message.len().div_ceil(MAX_CHUNK_BYTES).max(1);
    (0..total).map(move |index| {
        let start = index * MAX_CHUNK_BYTES;
        let end = message.len().min(start + MAX_CHUNK_BYTES);
        let piece = &message[start..end];
        let header = Header {
            message_bytes: message.len() as u64,
            chunk_bytes: piece.len() as u64,
            index: index as u32,
            total: total as u32,
        };
        (header, piece)
    })
}

/// Puts the records of one message after another together again.
#[derive(Debug)]
pub struct Assembler {
    limit: usize,
    message: Vec<u8>,
    first: Option<Header>,
    expected: u32,
}

impl Assembler {
    /// An assembler that refuses messages longer than `limit` bytes before it stores any of them.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, message: Vec::new(), first: None, expected: 0 }
    }

    /// Whether a message has begun and is not complete.
    #[must_use]
    pub fn is_mid_message(&self) -> bool {
        self.first.is_some()
    }

    /// Takes one record; the message, when this was its last one.
    ///
    /// After an error the assembler is as new: what had arrived of the message is dropped.
    pub fn push(&mut self, record: &[u8]) -> Result<Option<Vec<u8>>, FrameError> {
        let outcome = self.take(record);
        if outcome.is_err() {
            self.reset();
        }
        outcome
    }

    fn take(&mut self, record: &[u8]) -> Result<Option<Vec<u8>>, FrameError> {
        let (header, piece) = Header::decode(record)?;
        if header.index != self.expected {
            return Err(FrameError::OutOfOrder { expected: self.expected, got: header.index });
        }
        let first = *self.first.get_or_insert(header);
        if (header.total, header.message_bytes) != (first.total, first.message_bytes) {
            return Err(FrameError::TotalsChanged);
        }
        if header.message_bytes > self.limit as u64 {
            return Err(FrameError::MessageTooLong {
                announced: header.message_bytes,
                limit: self.limit,
            });
        }
        let got = (self.message.len() + piece.len()) as u64;
        let last = header.index + 1 == header.total;
        if got > header.message_bytes || (last && got < header.message_bytes) {
            return Err(FrameError::MessageLength { announced: header.message_bytes, got });
        }
        self.message.extend_from_slice(piece);
        if last {
            let message = std::mem::take(&mut self.message);
            self.reset();
            return Ok(Some(message));
        }
        self.expected += 1;
        Ok(None)
    }

    fn reset(&mut self) {
        self.message = Vec::new();
        self.first = None;
        self.expected = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(header: Header, piece: &[u8]) -> Vec<u8> {
        [&header.encode()[..], piece].concat()
    }

    fn all_records(message: &[u8]) -> Vec<Vec<u8>> {
        records(message).map(|(header, piece)| record(header, piece)).collect()
    }

    fn assemble(records: &[Vec<u8>]) -> Result<Option<Vec<u8>>, FrameError> {
        let mut assembler = Assembler::new(DEFAULT_MESSAGE_LIMIT);
        let mut done = None;
        for record in records {
            done = assembler.push(record)?;
        }
        Ok(done)
    }

    fn header(message_bytes: u64, chunk_bytes: u64, index: u32, total: u32) -> Header {
        Header { message_bytes, chunk_bytes, index, total }
    }

    #[test]
    fn header_is_two_longs_and_two_words_in_native_order() {
        let bytes = header(1, 2, 3, 4).encode();
        assert_eq!(bytes[..8], 1u64.to_ne_bytes());
        assert_eq!(bytes[8..16], 2u64.to_ne_bytes());
        assert_eq!(bytes[16..20], 3u32.to_ne_bytes());
        assert_eq!(bytes[20..24], 4u32.to_ne_bytes());
    }

    #[test]
    fn empty_message_is_one_bare_header() {
        assert_eq!(all_records(&[]), vec![header(0, 0, 0, 1).encode().to_vec()]);
        assert_eq!(assemble(&all_records(&[])), Ok(Some(Vec::new())));
    }

    #[test]
    fn records_fill_up_before_the_next_begins() {
        for (length, total) in [(MAX_CHUNK_BYTES, 1), (MAX_CHUNK_BYTES + 1, 2)] {
            let message = vec![7; length];
            let records = all_records(&message);
            assert_eq!(records.len(), total, "message of {length} bytes");
            assert_eq!(records[0].len(), MAX_RECORD_BYTES);
            assert_eq!(assemble(&records), Ok(Some(message)));
        }
    }

    #[test]
    fn each_broken_rule_has_its_own_refusal() {
        let refused = |records: &[Vec<u8>]| assemble(records).expect_err("must be refused");
        assert_eq!(refused(&[vec![0; 23]]), FrameError::NoHeader { got: 23 });
        assert_eq!(refused(&[vec![0; MAX_RECORD_BYTES + 1]]), FrameError::RecordTooLong);
        assert_eq!(
            refused(&[record(header(3, 3, 0, 1), b"ab")]),
            FrameError::ChunkLength { announced: 3, got: 2 }
        );
        assert_eq!(refused(&[record(header(0, 0, 0, 0), b"")]), FrameError::NoChunks);
        assert_eq!(
            refused(&[record(header(9, 0, 0, 3), b"")]),
            FrameError::EmptyChunk { index: 0, total: 3 }
        );
        assert_eq!(
            refused(&[record(header(2, 1, 1, 2), b"a")]),
            FrameError::OutOfOrder { expected: 0, got: 1 }
        );
        let opening = record(header(2, 1, 0, 2), b"a");
        assert_eq!(
            refused(&[opening.clone(), opening.clone()]),
            FrameError::OutOfOrder { expected: 1, got: 0 }
        );
        assert_eq!(
            refused(&[opening.clone(), record(header(3, 1, 1, 2), b"b")]),
            FrameError::TotalsChanged
        );
        assert_eq!(
            refused(&[opening, record(header(2, 2, 1, 2), b"bc")]),
            FrameError::MessageLength { announced: 2, got: 3 }
        );
        assert_eq!(
            refused(&[record(header(9, 1, 0, 1), b"a")]),
            FrameError::MessageLength { announced: 9, got: 1 }
        );
        let huge = DEFAULT_MESSAGE_LIMIT as u64 + 1;
        assert_eq!(
            refused(&[record(header(huge, 1, 0, u32::MAX), b"a")]),
            FrameError::MessageTooLong { announced: huge, limit: DEFAULT_MESSAGE_LIMIT }
        );
    }

    #[test]
    fn assembler_is_as_new_after_a_refusal() {
        let mut assembler = Assembler::new(DEFAULT_MESSAGE_LIMIT);
        assert_eq!(assembler.push(&record(header(2, 1, 0, 2), b"a")), Ok(None));
        assert!(assembler.is_mid_message());
        assert!(assembler.push(&record(header(2, 1, 0, 2), b"a")).is_err());
        assert!(!assembler.is_mid_message());
        assert_eq!(assembler.push(&record(header(2, 2, 0, 1), b"ok")), Ok(Some(b"ok".to_vec())));
    }

    proptest! {
        #[test]
        fn every_message_survives_the_way_there(
            length in prop_oneof![0usize..64, MAX_CHUNK_BYTES - 2..MAX_CHUNK_BYTES * 3],
            fill in any::<u8>(),
        ) {
            let message = vec![fill; length];
            prop_assert_eq!(assemble(&all_records(&message)), Ok(Some(message)));
        }

        #[test]
        fn any_bytes_are_survived(records in prop::collection::vec(
            prop::collection::vec(any::<u8>(), 0..80), 0..6)) {
            let mut assembler = Assembler::new(64);
            for record in &records {
                if let Ok(Some(message)) = assembler.push(record) {
                    prop_assert!(message.len() <= 64);
                }
            }
        }

        #[test]
        fn any_small_header_is_survived(
            pieces in prop::collection::vec((0u64..6, 0u64..4, 0u32..4, 0u32..4, 0usize..4), 1..8)
        ) {
            let mut assembler = Assembler::new(5);
            for (message_bytes, chunk_bytes, index, total, got) in pieces {
                let header = header(message_bytes, chunk_bytes, index, total);
                if let Ok(Some(message)) = assembler.push(&record(header, &vec![1; got])) {
                    prop_assert_eq!(message.len() as u64, message_bytes);
                    prop_assert_eq!(index + 1, total);
                }
            }
        }

        #[test]
        fn lost_doubled_or_swapped_records_never_make_a_message(
            total in 2usize..5, a in 0usize..5, b in 0usize..5, kind in 0..3,
        ) {
            let message: Vec<u8> = (0..total * MAX_CHUNK_BYTES).map(|at| (at / MAX_CHUNK_BYTES) as u8).collect();
            let mut records = all_records(&message);
            let (a, b) = (a % total, b % total);
            match kind {
                0 => { records.remove(a); }
                1 => records.insert(a, records[a].clone()),
                _ if a != b => records.swap(a, b),
                _ => return Ok(()),
            }
            let mut assembler = Assembler::new(DEFAULT_MESSAGE_LIMIT);
            let made = records.iter().map_while(|record| assembler.push(record).ok()).flatten().count();
            // Only a doubled last record comes after a message that was complete already.
            prop_assert_eq!(made, usize::from(kind == 1 && a + 1 == total));
        }
    }
}
