use super::super::{HostListProblem as Problem, HostSet, MAX_HOSTS};

fn names(text: &str) -> Vec<String> {
    HostSet::parse(text).unwrap().iter().map(ToString::to_string).collect()
}

fn problem(text: &str) -> (usize, Problem) {
    let error = HostSet::parse(text).unwrap_err();
    (error.position, error.problem)
}

/// R100: ranges, ports, padding, separators.
#[test]
fn reads_every_form_of_pattern() {
    assert_eq!(names("node1"), ["node1"]);
    assert_eq!(names("node[1-3]"), ["node1", "node2", "node3"]);
    assert_eq!(names("node[1-2,7]:10001"), ["node1:10001", "node2:10001", "node7:10001"]);
    assert_eq!(names("node[08-10]"), ["node08", "node09", "node10"]);
    assert_eq!(
        names("a[1-2]-ib[0-1].dom"),
        ["a1-ib0.dom", "a1-ib1.dom", "a2-ib0.dom", "a2-ib1.dom"]
    );
    assert_eq!(names("10.0.0.[1-3]:20000"), ["10.0.0.1:20000", "10.0.0.2:20000", "10.0.0.3:20000"]);
    assert_eq!(names("a1,a2 a3\ta4, ,a5,"), ["a1", "a2", "a3", "a4", "a5"]);
    assert_eq!(names("1st-host_x.y"), ["1st-host_x.y"]);
    assert_eq!(names("localhost,127.0.0.1"), ["127.0.0.1", "localhost"]);
}

/// R100, E38: sorted as people count, without duplicates.
#[test]
fn sorts_and_removes_duplicates() {
    assert_eq!(names("node10,node2,node2,node[1-3]"), ["node1", "node2", "node3", "node10"]);
    assert_eq!(names("n1:2,n1:1,n1"), ["n1", "n1:1", "n1:2"]);
}

/// R100, E38: each refusal is its own, with its place.
#[test]
fn refuses_each_mistake_with_its_place() {
    let cases = [
        ("", 0, Problem::Empty),
        (" ,\t", 0, Problem::Empty),
        ("1001", 0, Problem::BareNumber("1001".into())),
        ("node1,17", 6, Problem::BareNumber("17".into())),
        ("1-3", 0, Problem::BareNumber("1-3".into())),
        ("10.0.0", 0, Problem::BareNumber("10.0.0".into())),
        (":100", 0, Problem::EmptyHost),
        ("node:1:2", 6, Problem::TooManyColons),
        ("fe80::1", 5, Problem::TooManyColons),
        ("node:", 5, Problem::EmptyPort),
        ("node:x", 5, Problem::BadPort("x".into())),
        ("node:+1", 5, Problem::BadPort("+1".into())),
        ("node:0", 5, Problem::BadPort("0".into())),
        ("node:65536", 5, Problem::BadPort("65536".into())),
        ("node[3-1]", 5, Problem::ReversedRange { first: 3, last: 1 }),
        ("node[1-3", 4, Problem::UnclosedBracket),
        ("node1]", 5, Problem::UnopenedBracket),
        ("node[1[2]]", 6, Problem::NestedBracket),
        ("node[]", 5, Problem::MissingNumber),
        ("node[1,,2]", 7, Problem::MissingNumber),
        ("node[-3]", 5, Problem::MissingNumber),
        ("node[1-]", 7, Problem::MissingNumber),
        ("node[a-c]", 5, Problem::NotANumber("a".into())),
        ("node[1-2-3]", 7, Problem::NotANumber("2-3".into())),
        ("node[1-5/2]", 7, Problem::NotANumber("5/2".into())),
        ("node[1, 2]", 7, Problem::NotANumber(" 2".into())),
        ("node[1-9999999999]", 7, Problem::NumberTooLarge("9999999999".into())),
        ("[1-3]", 0, Problem::EmptyPrefix),
        ("]a", 0, Problem::UnopenedBracket),
        ("-node", 0, Problem::BadStart('-')),
        ("no/de", 2, Problem::BadCharacter('/')),
        ("knoten\u{e4}", 6, Problem::BadCharacter('\u{e4}')),
        ("10.0.[0-1].1", 5, Problem::RangeNotInLastOctet),
        ("10.0.0.1[0-3]", 8, Problem::RangeNotInLastOctet),
        ("10.0.0.256", 0, Problem::BadOctet("256".into())),
        ("10.0.0.[250-256]", 0, Problem::BadOctet("256".into())),
        ("10.0.0.01", 0, Problem::BadOctet("01".into())),
        ("node[1-16385]", 4, Problem::TooManyHosts { limit: MAX_HOSTS }),
        ("n[1-9999]x[1-9999]", 10, Problem::TooManyHosts { limit: MAX_HOSTS }),
        ("n[1-16384],m1", 11, Problem::TooManyHosts { limit: MAX_HOSTS }),
    ];
    for (text, position, expected) in cases {
        assert_eq!(problem(text), (position, expected), "{text:?}");
    }
}

#[test]
fn accepts_exactly_the_limit() {
    assert_eq!(HostSet::parse("n[1-16384]").unwrap().len(), MAX_HOSTS);
}

#[test]
fn says_where_and_what_to_do() {
    let error = HostSet::parse("node1,17").unwrap_err();
    assert_eq!(
        error.to_string(),
        "host list \"node1,17\", character 7: \"17\" is a bare number, not a host name"
    );
    assert_eq!(error.code(), 1340);
    assert_eq!(error.resolution(), "write the whole host name, e.g. node1001");
}

/// R101: one pattern per line, comments, blank lines.
#[test]
fn reads_a_host_file() {
    let file = "# racks\nnode[1-2]\n\n  node9:20000  # odd one\n";
    let set = HostSet::parse_file(file).unwrap();
    assert_eq!(set.to_string(), "node[1-2],node9:20000");
}

/// R101: a mistake names its line; a file without hosts is refused.
#[test]
fn host_file_names_the_bad_line() {
    let error = HostSet::parse_file("node1\nnode[2\n").unwrap_err();
    assert_eq!((error.line, error.problem.clone()), (Some(2), Problem::UnclosedBracket));
    assert_eq!(error.to_string(), "host list line 2 \"node[2\", character 5: '[' is never closed");
    assert_eq!(HostSet::parse_file("# nobody\n").unwrap_err().problem, Problem::Empty);
}
