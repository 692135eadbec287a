//! The ranks of an order to one host (contract 2.1 `RanksReq.ranks`).

use daos_membership::RankSet;

use super::bounds::{bounded, unusable};
use crate::wire::CallError;

/// Longest list that is looked at, in bytes.
const LONGEST: usize = 1 << 20;

/// The ranks that a text names; none is refused, since an order to nobody is a mistake.
///
/// # Errors
/// Fault 1366.
pub fn ranks(text: String) -> Result<RankSet, CallError> {
    let text = bounded("ranks", text, LONGEST)?;
    let ranks: RankSet = text.parse().map_err(|error| unusable("ranks", error))?;
    if ranks.is_empty() {
        return Err(unusable("ranks", "it names no rank"));
    }
    Ok(ranks)
}

#[cfg(test)]
mod tests {
    use super::ranks;

    #[test]
    fn only_lists_of_ranks_are_taken() {
        assert_eq!(ranks("0-2,7".into()).map(|ranks| ranks.to_string()).as_deref(), Ok("0-2,7"));
        for text in ["", "[]", "x", "4294967295", "1-", "0-4294967294"] {
            assert_eq!(ranks(text.into()).expect_err(text).fault_code(), Some(1366));
        }
        assert!(ranks("0,".repeat(1 << 20)).expect_err("huge").to_string().len() < 300);
    }
}
