//! The table of faults is complete, in order and documented.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use daos_control::fault::table::{TABLE, find, markdown};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in the workspace")
        .to_owned()
}

#[test]
fn numbers_and_names_are_unique_and_ascending() {
    assert!(TABLE.windows(2).all(|pair| pair[0].code < pair[1].code));
    let names: BTreeSet<_> = TABLE.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), TABLE.len());
    assert_eq!(find(603).map(|row| row.domain), Some("server"));
    assert_eq!(find(604_000), None);
}

/// Set `UPDATE_FAULTS_DOC=1` to write the document anew after changing the table.
#[test]
fn the_document_is_the_table() {
    let path = workspace().join("docs/faults.md");
    if std::env::var_os("UPDATE_FAULTS_DOC").is_some() {
        std::fs::write(&path, markdown()).expect("write docs/faults.md");
    }
    let document = std::fs::read_to_string(&path).expect("read docs/faults.md");
    assert!(document == markdown(), "docs/faults.md is stale: run with UPDATE_FAULTS_DOC=1");
}

#[test]
fn every_number_in_the_code_is_in_the_table() {
    let mut used = BTreeSet::new();
    for room in ["daos-control", "daos-membership", "daos-storage-scm", "daos-storage-nvme", "bins"]
    {
        scan(&workspace().join(room), &mut used);
    }
    assert!(!used.is_empty(), "the scan found nothing: {used:?}");
    let missing: Vec<_> = used.iter().filter(|(code, _)| find(*code).is_none()).collect();
    assert!(missing.is_empty(), "numbers without a row: {missing:?}");
}

fn scan(dir: &Path, used: &mut BTreeSet<(i32, String)>) {
    for entry in std::fs::read_dir(dir).expect("read a source directory") {
        let path = entry.expect("directory entry").path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                scan(&path, used);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && path.components().any(|part| part.as_os_str() == "src")
        {
            let text = std::fs::read_to_string(&path).expect("read a source file");
            let name = path.display().to_string();
            used.extend(codes_in(&text).into_iter().map(|code| (code, name.clone())));
        }
    }
}

/// Numbers in the bodies of `fn code`, in the second place of `Fault::new(`, and in `i32` constants from 1200 on.
fn codes_in(text: &str) -> Vec<i32> {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let mut codes = Vec::new();
    for head in ["fn code(&self) -> i32 {", "fn code(self) -> i32 {"] {
        for body in text.split(head).skip(1) {
            codes.extend(integers(balanced(body)));
        }
    }
    for value in text.split(": i32 = ").skip(1) {
        let number = value.split(';').next().and_then(|value| value.parse::<i32>().ok());
        codes.extend(number.filter(|number| *number >= 1200));
    }
    for arguments in text.split("Fault::new(").skip(1) {
        let second = arguments.split(',').nth(1).unwrap_or_default();
        codes.extend(second.trim().parse::<i32>().ok());
    }
    codes
}

/// The text up to the brace that closes the body.
fn balanced(body: &str) -> &str {
    let mut depth = 1;
    for (index, character) in body.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &body[..index];
        }
    }
    body
}

/// Integers that are the value of a match arm or the whole body.
fn integers(body: &str) -> Vec<i32> {
    let arms = body.split("=>").skip(1);
    let whole = std::iter::once(body);
    whole
        .chain(arms)
        .filter_map(|arm| {
            let digits: String = arm
                .trim_start()
                .trim_start_matches('{')
                .trim_start()
                .chars()
                .take_while(char::is_ascii_digit)
                .collect();
            digits.parse().ok()
        })
        .collect()
}

#[test]
fn the_scan_sees_match_arms_blocks_and_literals() {
    let text = "fn code(&self) -> i32 { match self { A => 7, B { .. } => { 8 } C => x.code(), } } \
                fn code(&self) -> i32 { 9 } Fault::new(\"a\", 10, \"b, 11\", 12) const A: i32 = 1300; const B: i32 = 13;";
    assert_eq!(codes_in(text), vec![7, 8, 9, 1300, 10]);
}
