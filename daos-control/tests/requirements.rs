//! The lists of requirements, weaknesses and edge cases are complete, and every test they name exists.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What is left for later, as the documents may name it.
const LATER: [&str; 3] = ["helper program", "burn-in and firmware", "pools"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// 'done' needs a test.
    Test,
    /// 'done' needs a test or the file where it is kept.
    TestOrPlace,
}

#[derive(Debug, PartialEq, Eq)]
enum Reference {
    Test { file: String, name: String },
    Place(String),
}

#[derive(Debug)]
struct Row {
    number: u32,
    status: String,
    references: Vec<Reference>,
}

fn workspace() -> PathBuf {
    let parent = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    parent.expect("the crate lies in the workspace").to_owned()
}

/// Rows `| <letter><number> | what | status | references |`, in the order of the document.
fn rows(document: &str, letter: char) -> Result<Vec<Row>, String> {
    let prefix = format!("| {letter}");
    let lines = document.lines().filter(|line| {
        let rest = line.strip_prefix(&prefix);
        rest.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    });
    lines.map(|line| row(line).map_err(|why| format!("{why}: {line}"))).collect()
}

fn row(line: &str) -> Result<Row, String> {
    let line = line.strip_prefix('|').and_then(|line| line.trim_end().strip_suffix('|'));
    let cells: Vec<&str> = line.ok_or("no table row")?.split('|').map(str::trim).collect();
    let [number, what, status, held_by] = cells[..] else {
        return Err(format!("{} cells, not four", cells.len()));
    };
    if what.is_empty() {
        return Err("nothing is said".to_owned());
    }
    check_status(status)?;
    let number = number[1..].parse().map_err(|_| "no number")?;
    Ok(Row { number, status: status.to_owned(), references: references(held_by)? })
}

/// `done`, `partly: <what is missing>`, `later: <which part of the road>`, `not followed: <why>`.
fn check_status(status: &str) -> Result<(), String> {
    let explained = |rest: &str| rest.trim().len() > 3;
    let known = match status.split_once(':') {
        None => status == "done",
        Some(("partly" | "not followed", rest)) => explained(rest),
        Some(("later", rest)) => LATER.contains(&rest.trim()),
        Some(_) => false,
    };
    if known { Ok(()) } else { Err(format!("unknown status {status:?}")) }
}

/// What stands in backticks: `file::test`, `::test` of the file before it, or a file.
fn references(held_by: &str) -> Result<Vec<Reference>, String> {
    let mut file_before = None;
    let quoted = held_by.split('`').skip(1).step_by(2);
    quoted
        .map(|quoted| match quoted.split_once("::") {
            None => Ok(Reference::Place(quoted.to_owned())),
            Some(("", name)) => {
                let file = file_before.clone().ok_or("no file before the first test")?;
                Ok(Reference::Test { file, name: name.to_owned() })
            }
            Some((file, name)) => {
                file_before = Some(file.to_owned());
                Ok(Reference::Test { file: file.to_owned(), name: name.to_owned() })
            }
        })
        .collect()
}

/// Names of the functions that a test attribute precedes, also where a macro of the same file makes them.
fn tests_in(source: &str) -> BTreeSet<String> {
    let (mut names, mut makers) = (BTreeSet::new(), BTreeSet::new());
    let (mut marked, mut macro_name) = (false, "");
    for line in source.lines().map(str::trim_start) {
        let attributes = ["#[test]", "#[tokio::test", "#[rstest"];
        marked |= attributes.iter().any(|attribute| line.starts_with(attribute));
        if let Some(rest) = line.strip_prefix("macro_rules! ") {
            macro_name = word(rest);
        }
        let Some(rest) = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ") else {
            continue;
        };
        if std::mem::take(&mut marked) {
            match rest.starts_with('$') {
                true => makers.insert(macro_name),
                false => names.insert(word(rest).to_owned()),
            };
        }
    }
    let invocations = source.lines().filter_map(|line| line.split_once("!("));
    let made = invocations.filter(|(maker, _)| makers.contains(maker)).map(|(_, rest)| word(rest));
    names.extend(made.map(str::to_owned));
    names
}

/// The name at the beginning of a text.
fn word(text: &str) -> &str {
    let end = text.find(|at: char| !at.is_alphanumeric() && at != '_');
    &text[..end.unwrap_or(text.len())]
}

/// Everything that is wrong with one document.
fn faults(document: &str, letter: char, last: u32, proof: Proof) -> Vec<String> {
    let rows = match rows(document, letter) {
        Ok(rows) => rows,
        Err(why) => return vec![why],
    };
    let mut faults = Vec::new();
    for number in 1..=last {
        let count = rows.iter().filter(|row| row.number == number).count();
        if count != 1 {
            faults.push(format!("{letter}{number} stands there {count} times"));
        }
    }
    let mut sources: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for row in &rows {
        let label = format!("{letter}{}", row.number);
        if row.number == 0 || row.number > last {
            faults.push(format!("there is no {label}"));
        }
        let is_test = |reference: &&Reference| matches!(reference, Reference::Test { .. });
        let proven = match proof {
            Proof::Test => row.references.iter().any(|reference| is_test(&reference)),
            Proof::TestOrPlace => !row.references.is_empty(),
        };
        if row.status == "done" && !proven {
            faults.push(format!("{label} is done, and nothing holds it"));
        }
        for reference in &row.references {
            match reference {
                Reference::Place(file) if workspace().join(file).exists() => {}
                Reference::Place(file) => faults.push(format!("{label}: there is no {file}")),
                Reference::Test { file, name } => {
                    let known = sources.entry(file).or_insert_with(|| {
                        let text = fs::read_to_string(workspace().join(file));
                        text.map(|text| tests_in(&text)).unwrap_or_default()
                    });
                    if !known.contains(name) {
                        faults.push(format!("{label}: there is no test {file}::{name}"));
                    }
                }
            }
        }
    }
    faults
}

#[track_caller]
fn is_true(file: &str, letter: char, last: u32, proof: Proof) {
    let document = fs::read_to_string(workspace().join(file)).expect("the document is there");
    let faults = faults(&document, letter, last, proof);
    assert!(faults.is_empty(), "{file}:\n{}", faults.join("\n"));
}

#[test]
fn requirements_are_complete_and_their_tests_exist() {
    is_true("docs/requirements.md", 'R', 177, Proof::Test);
}

#[test]
fn weaknesses_are_complete_and_their_tests_exist() {
    is_true("docs/decisions/0010-weaknesses.md", 'W', 46, Proof::TestOrPlace);
}

#[test]
fn edge_cases_are_complete_and_their_tests_exist() {
    is_true("docs/decisions/0011-edge-cases.md", 'E', 39, Proof::TestOrPlace);
}

#[test]
fn only_functions_with_a_test_attribute_are_tests() {
    let source = "fn helper() {}\n#[test]\nfn plain() {}\n#[tokio::test(flavor = \"x\")]\nasync fn later() {}\n\
                  #[rstest]\n#[case::one(\n    1\n)]\nfn table(#[case] n: u8) {}\nproptest! {\n    /// Any.\n    \
                  #[test]\n    fn any(n: u8) {}\n}\nfn other() {}\nmacro_rules! makes {\n    ($name:ident) => {\n        \
                  #[test]\n        fn $name() {}\n    };\n}\nmakes!(made, 1);\nassert!(not_made);\n";
    let names: Vec<String> = tests_in(source).into_iter().collect();
    assert_eq!(names, ["any", "later", "made", "plain", "table"]);
}

#[test]
fn what_is_wrong_with_a_document_is_found() {
    let own = "daos-control/tests/requirements.rs";
    let good = format!("| R1 | x | done | `{own}::what_is_wrong_with_a_document_is_found` |\n");
    let check = |text: &str, proof| faults(text, 'R', 1, proof);
    assert_eq!(check(&good, Proof::Test), Vec::<String>::new());
    for (text, words) in [
        (String::new(), "R1 stands there 0 times"),
        (good.repeat(2), "R1 stands there 2 times"),
        (format!("{good}| R2 | x | later: pools | |\n"), "there is no R2"),
        ("| R1 | x | done | |\n".to_owned(), "nothing holds it"),
        (format!("| R1 | x | done | `{own}` |\n"), "nothing holds it"),
        (format!("| R1 | x | done | `{own}::workspace` |\n"), "there is no test"),
        ("| R1 | x | done | `nowhere.rs::x` |\n".to_owned(), "there is no test nowhere.rs::x"),
        ("| R1 | x | later: pools | `nowhere.rs` |\n".to_owned(), "there is no nowhere.rs"),
        ("| R1 | x | done | `::x` |\n".to_owned(), "no file before"),
        ("| R1 | x | soon | |\n".to_owned(), "unknown status"),
        ("| R1 | x | later: someday | |\n".to_owned(), "unknown status"),
        ("| R1 | x | partly: | |\n".to_owned(), "unknown status"),
        ("| R1 | | later: pools | |\n".to_owned(), "nothing is said"),
        ("| R1 | x | done |\n".to_owned(), "3 cells"),
    ] {
        let found = check(&text, Proof::Test);
        assert!(found.iter().any(|fault| fault.contains(words)), "{text}: {found:?}");
    }
    assert_eq!(
        check(&format!("| R1 | x | done | `{own}` |\n"), Proof::TestOrPlace),
        Vec::<String>::new()
    );
}

/// Names in backticks in the first column of the tables of one part of a document.
fn first_column(part: &str) -> BTreeSet<String> {
    let cells = part.lines().filter_map(|line| line.strip_prefix("| `")?.split('|').next());
    let names = cells.flat_map(|cell| cell.split(',')).map(|name| name.trim().trim_matches('`'));
    names.map(|name| name.trim_end_matches('/').to_owned()).collect()
}

#[test]
fn r176_the_architecture_shows_both_flows_and_the_modules_that_there_are() {
    let document = fs::read_to_string(workspace().join("docs/architecture.md")).expect("read");
    let (rooms, rest) = document.split_once("Inside `daos-control`").expect("both tables");
    let (modules, flows) = rest.split_once("Arrows:").expect("the arrows");

    let manifest = fs::read_to_string(workspace().join("Cargo.toml")).expect("read");
    let (_, members) = manifest.split_once("members = [").expect("the members");
    let (members, _) = members.split_once(']').expect("the end of the members");
    let rooms = first_column(rooms);
    for member in members.split('"').skip(1).step_by(2) {
        let named =
            rooms.iter().any(|room| member == room || member.starts_with(&format!("{room}/")));
        assert!(named, "{member} is in no room of {rooms:?}");
    }

    let library = fs::read_to_string(workspace().join("daos-control/src/lib.rs")).expect("read");
    let code = library.lines().filter_map(|line| line.strip_prefix("pub mod "));
    let code: BTreeSet<String> = code.map(|name| word(name).to_owned()).collect();
    let modules = first_column(modules);
    assert_eq!(modules, code, "documented and there");

    // Who acts in a flow stands at the beginning of a line, or two blanks from it below a command.
    let mut actors = BTreeSet::new();
    for block in flows.split("```").skip(1).step_by(2) {
        for line in block.lines().filter(|line| !line.starts_with("   ")) {
            actors.insert(word(line.trim_start()).to_owned());
        }
    }
    for known in ["", "daos_server", "dmg", "membership"] {
        actors.remove(known);
    }
    assert!(actors.len() >= 8, "{actors:?}");
    assert!(actors.is_subset(&modules), "not in the code: {:?}", actors.difference(&modules));
    for words in
        ["superblock there", "wait for format", "fault 101", "dcpm:", "ram:", "journal mark"]
    {
        assert!(flows.contains(words), "{words}");
    }
}
