//! The examples that need nothing of the machine do what they say.

use std::process::Command;

fn run(program: &str, arguments: &[&str]) -> String {
    let ran = Command::new(program).args(arguments).output().expect("it runs");
    let (told, errors) =
        (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{told}\n{errors}");
    told.into_owned()
}

#[test]
fn a_provider_of_ones_own_formats_and_passes_the_suite() {
    let told = run(env!("CARGO_BIN_EXE_write_a_provider"), &[]);
    assert!(told.contains("/dev/array/fast: AlreadyFormatted"), "{told}");
    assert!(told.contains("/dev/array/slow: Formatted"), "{told}");
    assert!(told.matches("suite: ").count() >= 12, "{told}");
    assert!(told.ends_with("the provider passes the suite\n"), "{told}");
}

#[test]
fn local_storage_is_listed_with_the_files_that_are_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let (there, absent) = (directory.path().join("there"), directory.path().join("absent"));
    let file = std::fs::File::create(&there).expect("a file");
    file.set_len(2_500_000_000).expect("a size; it takes no room");
    let names = [there.to_str().expect("text"), absent.to_str().expect("text")];
    let told = run(env!("CARGO_BIN_EXE_scan_local"), &names);
    let row = |name: &str| {
        let row = told.lines().find(|line| line.contains(name));
        row.unwrap_or_else(|| panic!("{name} is not in\n{told}")).to_owned()
    };
    assert!(told.starts_with("Class  Device"), "{told}");
    assert!(row(names[0]).starts_with("file") && row(names[0]).contains("2.5 GB"), "{told}");
    assert!(row(names[1]).contains("not there"), "{told}");
}
