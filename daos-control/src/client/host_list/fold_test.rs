use proptest::prelude::*;

use super::super::{HostAddr, HostSet};

fn folded(text: &str) -> String {
    HostSet::parse(text).unwrap().to_string()
}

/// R100, R104: the canonical form.
#[test]
fn folds_to_the_canonical_form() {
    let cases = [
        ("node7,node3,node1,node2", "node[1-3,7]"),
        ("wolf-71:10001,wolf-72:10001", "wolf-[71-72]:10001"),
        ("node1:1,node2:2", "node1:1,node2:2"),
        ("n08,n09,n10,n11", "n[08-11]"),
        ("n8,n08", "n[08,8]"),
        ("n[98-101]", "n[98-101]"),
        ("n[098-101]", "n[098-101]"),
        ("a1-ib0,a1-ib1,a2-ib0,a2-ib1", "a[1-2]-ib[0-1]"),
        ("a1-ib0,a2-ib1", "a1-ib0,a2-ib1"),
        ("10.0.0.1,10.0.0.2,10.0.1.1", "10.0.0.[1-2],10.0.1.1"),
        ("1node,2node", "1node,2node"),
        ("b2,a2,b1", "a2,b[1-2]"),
        ("n12345678901,n12345678902", "n12345678901,n12345678902"),
        ("node2,node10", "node[2,10]"),
        ("x1y1,x1y2,x2y1", "x1y[1-2],x2y1"),
    ];
    for (text, expected) in cases {
        assert_eq!(folded(text), expected, "{text}");
        assert_eq!(folded(expected), expected, "{expected} is not canonical");
    }
}

/// Contract 8.5: the default port is not shown, another one is.
#[test]
fn hides_the_default_port_only() {
    let set = HostSet::parse("n[1-2]:10001,n3:20000").unwrap();
    assert_eq!(set.display_hiding_port(10001), "n[1-2],n3:20000");
}

#[test]
fn one_host_is_not_a_list() {
    assert_eq!(HostAddr::parse("n1:7").unwrap().port(), Some(7));
    assert!(HostAddr::parse("n[1-2]").is_err());
    assert_eq!(HostAddr::parse("n[1-1]").unwrap().to_string(), "n1");
}

fn host() -> impl Strategy<Value = String> {
    let name = "[a-c]{1,2}(0{0,2}[0-9]{1,2})?(-?[a-b]?[0-9]{1,2})?(\\.[d-e][0-9]?)?";
    let odd = "[0-9]{1,3}[a-b][0-9]{8,12}";
    let ip = "(10|9)\\.[0-2]\\.[0-2]\\.[1-9]";
    let port = prop_oneof![Just(String::new()), (1u16..4).prop_map(|port| format!(":{port}"))];
    (prop_oneof![6 => name, 1 => odd, 2 => ip], port).prop_map(|(host, port)| host + &port)
}

proptest! {
    /// expand(fold(x)) == x, and folding is stable.
    #[test]
    fn folding_loses_and_adds_nothing(hosts in proptest::collection::vec(host(), 1..40)) {
        let set = HostSet::parse(&hosts.join(",")).unwrap();
        let text = set.to_string();
        let again = HostSet::parse(&text).unwrap();
        prop_assert_eq!(&again, &set, "{}", text);
        prop_assert_eq!(again.to_string(), text);
    }

    /// Whatever is typed, the parser answers; what it accepts, it can print and read again.
    #[test]
    fn any_text_is_read_or_refused(text in "[a-c0-3\\[\\],:. \\-_]{0,24}") {
        if let Ok(set) = HostSet::parse(&text) {
            prop_assert_eq!(HostSet::parse(&set.to_string()).unwrap(), set);
        }
    }

    /// The order is total: sorting twice by any path gives one result.
    #[test]
    fn order_is_consistent(a in host(), b in host(), c in host()) {
        let [a, b, c] = [a, b, c].map(|text| HostAddr::parse(&text).unwrap());
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a == b, a.cmp(&b).is_eq());
        if a <= b && b <= c {
            prop_assert!(a <= c);
        }
    }
}
