//! Ranks, sets of ranks and incarnations: the names by which engines know each other.
//!
//! Used by every other module. Knows nothing of members, systems or the wire; "no rank" is `Option::None`
//! here and becomes 2³²−1 only at the edge (E8).

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::RankSyntaxError;

/// The number of one engine in the system: `0..=u32::MAX - 1`, given once and never again (R162).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Rank(u32);

impl Rank {
    /// What "no rank" looks like on the wire (contract 10.5). Never the number of a [`Rank`].
    pub const NIL: u32 = u32::MAX;
    /// The highest rank there can be.
    pub const MAX: Rank = Rank(u32::MAX - 1);
    /// The rank of engine 0 of the first replica (contract 6.1).
    pub const BOOTSTRAP: Rank = Rank(0);

    /// The rank with this number, or `None` for [`Rank::NIL`]: exactly the meaning of the wire field.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        if number == Self::NIL { None } else { Some(Self(number)) }
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The next higher rank, `None` after [`Rank::MAX`].
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        Self::new(self.0.saturating_add(1))
    }
}

impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Rank> for u32 {
    fn from(rank: Rank) -> Self {
        rank.0
    }
}

impl TryFrom<u32> for Rank {
    type Error = RankSyntaxError;

    fn try_from(number: u32) -> Result<Self, Self::Error> {
        Self::new(number).ok_or(RankSyntaxError::Nil)
    }
}

impl FromStr for Rank {
    type Err = RankSyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = plain.then(|| text.parse::<u32>().ok()).flatten();
        let number = number.ok_or_else(|| RankSyntaxError::NotANumber { text: text.to_owned() })?;
        Self::try_from(number)
    }
}

/// Which start of an engine is meant: a higher number is a later start of the same rank (contract 6.7).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Incarnation(pub u64);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A sorted set of ranks; its text form is the rank list of contract 8.4 (`0-3,5`, brackets allowed).
///
/// ```
/// use daos_membership::RankSet;
/// let ranks: RankSet = "[3,0-1, 2,9]".parse()?;
/// assert_eq!(ranks.to_string(), "0-3,9");
/// # Ok::<(), daos_membership::RankSyntaxError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RankSet(BTreeSet<Rank>);

impl RankSet {
    /// The most ranks one list may name, so that a short text cannot ask for gigabytes.
    pub const LIMIT: usize = 1 << 20;

    /// A set without ranks.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeSet::new())
    }

    /// Adds a rank; `false` if it was there already.
    pub fn insert(&mut self, rank: Rank) -> bool {
        self.0.insert(rank)
    }

    /// Takes a rank out; `false` if it was not there.
    pub fn remove(&mut self, rank: Rank) -> bool {
        self.0.remove(&rank)
    }

    /// Whether the rank is in the set.
    #[must_use]
    pub fn contains(&self, rank: Rank) -> bool {
        self.0.contains(&rank)
    }

    /// How many ranks there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranks in rising order.
    pub fn iter(&self) -> impl Iterator<Item = Rank> + '_ {
        self.0.iter().copied()
    }

    fn insert_range(&mut self, first: Rank, last: Rank) -> Result<(), RankSyntaxError> {
        let asked = u64::from(last.get()) - u64::from(first.get()) + 1;
        if asked + self.len() as u64 > Self::LIMIT as u64 {
            return Err(RankSyntaxError::TooMany { limit: Self::LIMIT });
        }
        self.0.extend((first.get()..=last.get()).filter_map(Rank::new));
        Ok(())
    }
}

impl FromIterator<Rank> for RankSet {
    fn from_iter<T: IntoIterator<Item = Rank>>(ranks: T) -> Self {
        Self(ranks.into_iter().collect())
    }
}

impl Extend<Rank> for RankSet {
    fn extend<T: IntoIterator<Item = Rank>>(&mut self, ranks: T) {
        self.0.extend(ranks);
    }
}

impl IntoIterator for RankSet {
    type Item = Rank;
    type IntoIter = std::collections::btree_set::IntoIter<Rank>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromStr for RankSet {
    type Err = RankSyntaxError;

    /// Reads a rank list. Blanks around entries are tolerated; an empty text is the empty set.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let inner = match (text.strip_prefix('['), text.ends_with(']')) {
            (Some(rest), true) => &rest[..rest.len() - 1],
            (None, false) => text,
            _ => return Err(RankSyntaxError::Brackets { text: text.to_owned() }),
        };
        let mut set = Self::new();
        if inner.trim().is_empty() {
            return Ok(set);
        }
        for item in inner.split(',').map(str::trim) {
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            let (first, last): (Rank, Rank) = (first.trim().parse()?, last.trim().parse()?);
            if first > last {
                return Err(RankSyntaxError::Reversed { text: item.to_owned() });
            }
            set.insert_range(first, last)?;
        }
        Ok(set)
    }
}

impl fmt::Display for RankSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ranks = self.0.iter().map(|rank| rank.get()).peekable();
        let mut comma = "";
        while let Some(first) = ranks.next() {
            let mut last = first;
            while ranks.peek().is_some_and(|next| next - 1 == last) {
                last = ranks.next().unwrap_or(last);
            }
            write!(f, "{comma}{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
            comma = ",";
        }
        Ok(())
    }
}

impl TryFrom<String> for RankSet {
    type Error = RankSyntaxError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RankSet> for String {
    fn from(set: RankSet) -> Self {
        set.to_string()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::one("0", "0")]
    #[case::list("5,1,1", "1,5")]
    #[case::range("0-3,5", "0-3,5")]
    #[case::brackets("[0-3,5]", "0-3,5")]
    #[case::blanks(" 0 - 1 ,\t3 ", "0-1,3")]
    #[case::overlap("0-4,2-6", "0-6")]
    #[case::empty("", "")]
    #[case::empty_brackets("[]", "")]
    #[case::pair("1,2", "1-2")]
    #[case::highest("4294967294", "4294967294")]
    fn reads_and_folds_rank_lists(#[case] text: &str, #[case] folded: &str) {
        let set: RankSet = text.parse().unwrap();
        assert_eq!(set.to_string(), folded);
        assert_eq!(set.to_string().parse::<RankSet>().unwrap(), set);
    }

    #[rstest]
    #[case::letters("a")]
    #[case::hole("1,,2")]
    #[case::trailing("1,")]
    #[case::reversed("3-1")]
    #[case::negative("-1")]
    #[case::plus("+1")]
    #[case::half_open("1-")]
    #[case::double("1-2-3")]
    #[case::nil("4294967295")]
    #[case::beyond("4294967296")]
    #[case::open_bracket("[1")]
    #[case::close_bracket("1]")]
    #[case::bracket_only("[")]
    #[case::too_many("0-4294967294")]
    fn refuses_what_is_no_rank_list(#[case] text: &str) {
        assert!(text.parse::<RankSet>().is_err(), "{text} was accepted");
    }

    #[test]
    fn no_rank_is_not_rank_zero() {
        assert_eq!(Rank::new(Rank::NIL), None);
        assert_eq!(Rank::new(0), Some(Rank::BOOTSTRAP));
        assert_eq!(Rank::MAX.next(), None);
        assert!(serde_json::from_str::<Rank>("4294967295").is_err());
    }
}
