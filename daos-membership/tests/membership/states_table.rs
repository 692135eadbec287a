//! The tables of docs/states.md are those of the code (contract 6.3).

use std::path::Path;

use daos_membership::conformance::samples::member;
use daos_membership::{Member, MemberState};

/// The rows of the member part's tables, each split into its cells.
fn rows() -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/states.md");
    let text = std::fs::read_to_string(path).unwrap();
    let part = text.split("\n## ").find(|part| part.starts_with("Members")).unwrap();
    let rows = part.lines().filter(|line| line.starts_with("| ")).map(|line| {
        line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()
    });
    rows.collect()
}

#[test]
fn the_documented_transitions_are_the_allowed_ones() {
    let rows = rows();
    let at = rows.iter().position(|row| row[0] == r"from \ to").unwrap();
    let columns: Vec<MemberState> = rows[at][1..].iter().map(|c| c.parse().unwrap()).collect();
    assert_eq!(columns, MemberState::ALL);
    let table = &rows[at + 1..];
    assert_eq!(table.len(), MemberState::ALL.len());
    for (from, row) in MemberState::ALL.into_iter().zip(table) {
        assert_eq!(row[0], from.text());
        for (to, cell) in columns.iter().zip(&row[1..]) {
            let code = match () {
                () if from == *to => "·",
                () if from.may_become(*to) => "L",
                () => "x",
            };
            assert_eq!(cell, code, "{from} to {to}");
        }
    }
}

#[test]
fn the_documented_bits_and_group_membership_are_those_of_the_code() {
    let rows = rows();
    let documented: Vec<_> =
        rows.iter().filter(|row| row.len() == 4 && row[0] != "state").collect();
    assert_eq!(documented.len(), MemberState::ALL.len());
    for (state, row) in MemberState::ALL.into_iter().zip(documented) {
        assert_eq!(row[0], state.text());
        assert_eq!(row[1], format!("{:#05x}", state.bit()));
        let in_group = Member { state, ..member(1) }.is_in_group();
        assert_eq!(row[3], if in_group { "yes" } else { "no" }, "{state}");
    }
}

#[test]
fn nothing_leads_into_unknown_or_out_of_admin_excluded() {
    for state in MemberState::ALL {
        assert!(!state.may_become(MemberState::Unknown), "{state}");
        assert!(!state.may_become(state), "{state}");
        assert!(!MemberState::AdminExcluded.may_become(state), "{state}");
        assert!(!MemberState::Unknown.may_become(state), "{state}");
    }
}
