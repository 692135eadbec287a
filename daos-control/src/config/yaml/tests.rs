use super::{MAX_BYTES, Outline, Position, Problem, load};

#[derive(Debug, Default, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Top {
    name: Option<String>,
    port: Option<i64>,
    verbose: Option<bool>,
    class: Option<Class>,
    engines: Option<Vec<Entry>>,
}

#[derive(Debug, PartialEq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Class {
    Ram,
    Dcpm,
}

#[derive(Debug, Default, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    targets: Option<i64>,
    bdev_list: Option<Vec<String>>,
}

const HINTS: super::Hints = &[("nvme_list", "use `bdev_list`")];

fn fails(text: &str) -> super::Diagnostic {
    *load::<Top>(text.as_bytes(), "file.yml", HINTS).expect_err(text)
}

#[test]
fn r40_faults_name_kind_place_path_and_remedy() {
    let cases: [(&str, Problem, usize, usize, &str, &str); 13] = [
        ("name: a\nprot: 3\n", Problem::UnknownKey, 2, 1, "prot", "did you mean `port`"),
        (
            "engines:\n- nvme_list: []\n",
            Problem::UnknownKey,
            2,
            3,
            "engines[0].nvme_list",
            "use `bdev_list`",
        ),
        ("wrong: 3\n", Problem::UnknownKey, 1, 1, "wrong", "valid here: name, port"),
        ("name: a\nname: b\n", Problem::DuplicateKey, 2, 1, "name", "`name` is written twice"),
        ("port: ten\n", Problem::Type, 1, 7, "port", "expected a whole number"),
        ("port: 99999999999999999999\n", Problem::Type, 1, 7, "port", "expected a whole number"),
        ("verbose: maybe\n", Problem::Type, 1, 10, "verbose", "expected true or false"),
        ("class: disk\n", Problem::Type, 1, 8, "class", "`disk` is not one of ram, dcpm"),
        ("engines: 7\n", Problem::Type, 1, 10, "engines", "expected a list"),
        (
            "engines:\n- targets: 1\n- 3\n",
            Problem::Type,
            3,
            3,
            "engines[1]",
            "expected keys and values",
        ),
        ("name: [a]\n", Problem::Type, 1, 7, "name", "expected one value"),
        ("name: a\n---\nname: b\n", Problem::Syntax, 3, 1, "", "second document"),
        (
            "engines:\n  - targets: 1\n   bdev_list: []\n",
            Problem::Syntax,
            3,
            4,
            "",
            "block collection",
        ),
    ];
    for (text, problem, line, column, key, words) in cases {
        let found = fails(text);
        assert_eq!(found.problem, problem, "{text}: {found}");
        assert_eq!(found.position, Some(Position { line, column }), "{text}: {found}");
        assert!(found.message.contains(words), "{text}: {found}");
        if !key.is_empty() {
            assert_eq!(found.key.as_deref(), Some(key), "{text}");
        }
        let shown = text.lines().nth(line - 1).unwrap();
        assert!(found.rendered.contains(shown), "{}", found.rendered);
        assert!(
            found.rendered.contains(&format!("file.yml:{line}:{column}")),
            "{}",
            found.rendered
        );
        assert!(!found.rendered.contains('\u{1b}'), "colours in {}", found.rendered);
        assert_eq!(found.fault("serverconfig").code, problem.code());
    }
}

#[test]
fn words_stay_words_and_merges_work() {
    let text = "name: 0x10\nverbose: no\nengines:\n- &first {targets: 1}\n- {<<: *first, bdev_list: [no]}\n";
    let top = load::<Top>(text.as_bytes(), "file.yml", HINTS).unwrap().value;
    assert_eq!(top.name.as_deref(), Some("0x10"));
    assert_eq!(top.verbose, Some(false));
    let second = &top.engines.unwrap()[1];
    assert_eq!(*second, Entry { targets: Some(1), bdev_list: Some(vec!["no".to_owned()]) });
}

#[test]
fn a_file_without_content_is_the_default() {
    for text in ["", "# only a comment\n", "---\n", "---\n# comment\n...\n", "\n\n"] {
        let file = load::<Top>(text.as_bytes(), "file.yml", HINTS).unwrap();
        assert_eq!(file.value, Top::default(), "{text:?}");
        assert!(!file.outline.contains("name"));
    }
}

#[test]
fn size_and_encoding_are_bounded() {
    let mut large = b"name: a\n".to_vec();
    large.resize(MAX_BYTES + 1, b'\n');
    let found = load::<Top>(&large, "file.yml", HINTS).unwrap_err();
    assert_eq!(found.problem, Problem::Unreadable);
    assert!(found.message.contains("1048577 bytes"), "{found}");

    let found = load::<Top>(b"name: a\nname\xff: b\n", "file.yml", HINTS).unwrap_err();
    assert_eq!(
        (found.problem, found.position),
        (Problem::Unreadable, Some(Position { line: 2, column: 5 }))
    );
}

#[test]
fn control_characters_of_a_file_are_not_printed() {
    let found = fails("\"na\\u001bme\": x\n");
    assert_eq!(found.problem, Problem::UnknownKey);
    assert!(!found.message.contains('\u{1b}') && !found.rendered.contains('\u{1b}'), "{found:?}");
}

#[test]
fn alias_bombs_are_refused_quickly() {
    let mut text = String::from("name: x\nengines:\n- &a0 {bdev_list: [a,a,a,a,a,a,a,a,a,a]}\n");
    for level in 1..12 {
        let before = level - 1;
        let list = vec![format!("*a{before}"); 10].join(",");
        text.push_str(&format!("- &a{level} [{list}]\n"));
    }
    let started = std::time::Instant::now();
    assert!(load::<Top>(text.as_bytes(), "file.yml", HINTS).is_err());
    assert!(started.elapsed().as_secs() < 5);
}

#[test]
fn outline_knows_every_key_and_its_ancestors() {
    let outline = Outline::of(
        "name: a\nengines:\n- targets: 1\n  list: [x, y]\n-\n  env: {a: b}\n? [odd]\n: 1\nport: 2\n",
    );
    for (path, line, column) in [
        ("name", 1, 1),
        ("engines", 2, 1),
        ("engines[0]", 3, 3),
        ("engines[0].targets", 3, 3),
        ("engines[0].list", 4, 3),
        ("engines[0].list[1]", 4, 13),
        ("engines[1].env.a", 6, 9),
        ("port", 9, 1),
    ] {
        assert_eq!(outline.position(path), Some(Position { line, column }), "{path}");
    }
    assert_eq!(outline.nearest_position("engines[1].storage[0].class").unwrap().line, 6);
    assert_eq!(outline.nearest_position("nothing.here"), None);
    assert!(Outline::of("# nothing\n").is_empty());
}
