//! Every relative link of every page leads to a file that is there, and its anchor to a heading of that file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn workspace() -> PathBuf {
    let parent = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    parent.expect("the crate lies in the workspace").to_owned()
}

/// All Markdown files below a directory, but for what is built.
fn pages(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && name != ".git" {
            pages(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// The lines of a page that are no code.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut code = false;
    page.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence && !line.starts_with("    ")
    })
}

/// Where the links of a page lead.
fn links(page: &str) -> Vec<&str> {
    prose(page)
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
        .collect()
}

/// The anchors of a page, as GitHub makes them from its headings.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for line in prose(page).filter(|line| line.starts_with('#')) {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|each| each.is_alphanumeric() || " -_".contains(*each));
        let anchor: String = kept.map(|each| if each == ' ' { '-' } else { each }).collect();
        let again = (1..).map(|number| format!("{anchor}-{number}"));
        let free =
            std::iter::once(anchor.clone()).chain(again).find(|each| !anchors.contains(each));
        anchors.extend(free);
    }
    anchors
}

/// What is wrong with the links of one page; `read` gives the text of another one, or nothing for what is no page.
fn broken(page: &str, exists: impl Fn(&str) -> bool, read: impl Fn(&str) -> String) -> Vec<String> {
    let mut broken = Vec::new();
    for target in links(page) {
        if target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
        if !file.is_empty() && !exists(file) {
            broken.push(format!("there is no {file}"));
            continue;
        }
        let other = if file.is_empty() { page.to_owned() } else { read(file) };
        if !anchor.is_empty() && !anchors(&other).contains(anchor) {
            broken.push(format!("there is no heading #{anchor} in {file}"));
        }
    }
    broken
}

#[test]
fn every_link_of_every_page_leads_somewhere() {
    let mut all = Vec::new();
    pages(&workspace(), &mut all);
    assert!(all.len() > 30, "only {} pages were found", all.len());
    let mut faults = Vec::new();
    for path in all {
        let page = fs::read_to_string(&path).expect("a page");
        let place = path.parent().expect("it lies somewhere").to_owned();
        let found = broken(
            &page,
            |file| place.join(file).exists(),
            |file| fs::read_to_string(place.join(file)).unwrap_or_default(),
        );
        faults.extend(found.into_iter().map(|what| format!("{}: {what}", path.display())));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let page = "# One\n[a](other.md) [b](other.md#two-words) [c](#one) [d](https://x.example/y)\n\
                ```\n[no](link.md)\n# no heading\n```\n    [no](link.md)\n";
    let other = "# Two `words`\n# Two words\n";
    let check = |page: &str| broken(page, |file| file == "other.md", |_| other.to_owned());
    assert_eq!(check(page), Vec::<String>::new());
    assert_eq!(check("[twice](other.md#two-words-1)"), Vec::<String>::new());
    assert_eq!(check("[a](gone.md)"), ["there is no gone.md"]);
    assert_eq!(check("[a](other.md#three)"), ["there is no heading #three in other.md"]);
    assert_eq!(check("# One\n[a](#no-heading)"), ["there is no heading #no-heading in "]);
}
