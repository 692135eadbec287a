//! Sets of ranks as administrators type and read them: `0-3,5`.
//!
//! The client's own small copy: it links no membership crate. Pure.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::fault::code;

/// The highest number that is a rank; one more means "no rank" on the wire (contract 10.5).
pub const MAX_RANK: u32 = u32::MAX - 1;

/// The most ranks one text may name.
const MAX_RANKS: usize = 1 << 17;

/// A set of ranks: sorted, printed as `0-3,5` (contract 8.4).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RankSet {
    ranks: BTreeSet<u32>,
}

/// A rank set that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rank set {text:?}: {problem}")]
pub struct RankSetError {
    text: String,
    problem: String,
}

impl RankSetError {
    /// Stable number of this error.
    #[must_use]
    pub fn code(&self) -> i32 {
        code::CLIENT_RANK_SET
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        "write ranks like 0-3,5"
    }
}

impl RankSet {
    /// How many ranks there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ranks.len()
    }

    /// Whether there is no rank.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranks.is_empty()
    }

    /// The ranks in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.ranks.iter().copied()
    }

    /// Adds one rank; adding it twice changes nothing.
    pub fn insert(&mut self, rank: u32) {
        self.ranks.insert(rank);
    }
}

impl FromStr for RankSet {
    type Err = RankSetError;

    /// Reads `0`, `0-3,5`, or either in brackets; text without ranks is the empty set.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |problem: String| RankSetError { text: text.to_owned(), problem };
        let trimmed = text.trim();
        let body = match (trimmed.strip_prefix('['), trimmed.strip_suffix(']')) {
            (None, None) => trimmed,
            (Some(_), Some(_)) => trimmed.trim_start_matches('[').trim_end_matches(']'),
            _ => return Err(error("unbalanced bracket".into())),
        };
        let mut ranks = BTreeSet::new();
        for item in
            body.split(',').map(str::trim).filter(|item| !item.is_empty() || body.contains(','))
        {
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            let (first, last) = (rank(first).map_err(error)?, rank(last).map_err(error)?);
            if last < first {
                return Err(error(format!("range {first}-{last} runs backwards")));
            }
            if usize::try_from(last - first).is_ok_and(|more| ranks.len() + more >= MAX_RANKS) {
                return Err(error(format!("more than {MAX_RANKS} ranks")));
            }
            ranks.extend(first..=last);
        }
        Ok(Self { ranks })
    }
}

fn rank(text: &str) -> Result<u32, String> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(rank) if digits && rank <= MAX_RANK => Ok(rank),
        _ => Err(format!("{text:?} is not a rank (0 to {MAX_RANK})")),
    }
}

impl fmt::Display for RankSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for rank in self.iter() {
            match runs.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(rank) => *last = rank,
                _ => runs.push((rank, rank)),
            }
        }
        for (index, (first, last)) in runs.into_iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            match last - first {
                0 => write!(f, "{comma}{first}")?,
                _ => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

impl FromIterator<u32> for RankSet {
    fn from_iter<I: IntoIterator<Item = u32>>(ranks: I) -> Self {
        Self { ranks: ranks.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::RankSet;

    /// Contract 8.4: the forms that are read and the one that is written.
    #[test]
    fn reads_and_writes_rank_sets() {
        for (text, expected) in [
            ("0", "0"),
            ("0-3,5", "0-3,5"),
            ("[0-3,5]", "0-3,5"),
            ("5, 1,0 ", "0-1,5"),
            ("", ""),
            ("3-3", "3"),
        ] {
            assert_eq!(text.parse::<RankSet>().unwrap().to_string(), expected, "{text:?}");
        }
    }

    #[test]
    fn refuses_what_is_no_rank_set() {
        for text in
            ["a", "1-", "-1", "3-1", "1,,2", "[1", "1]", "+1", "4294967295", "0-4294967294", "[]]["]
        {
            let error = text.parse::<RankSet>().unwrap_err();
            assert_eq!(error.code(), 1341);
            assert!(error.to_string().starts_with(&format!("rank set {text:?}: ")), "{error}");
        }
    }

    proptest! {
        #[test]
        fn printing_loses_nothing(ranks in proptest::collection::btree_set(0u32..200, 0..60)) {
            let set: RankSet = ranks.into_iter().collect();
            prop_assert_eq!(set.to_string().parse::<RankSet>().unwrap(), set);
        }
    }
}
