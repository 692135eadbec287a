//! Folding a set of hosts back to its canonical text, and the order in which people count.
//!
//! Pure. Hosts that differ only in numbers are merged into ranges, number by number from the last; zero padding
//! is kept because `node8` and `node08` are different hosts. An IPv4 address folds in its last octet only.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::net::Ipv4Addr;

use super::HostAddr;
use super::parse::MAX_RANGE_DIGITS;

/// What hosts that may be folded together have in common: the text around the numbers, and the port.
#[derive(PartialEq, Eq, Hash)]
struct Shape {
    texts: Vec<String>,
    port: Option<u16>,
}

/// One value list for each number of a shape; stands for every combination.
type Block = Vec<Vec<String>>;

/// Folds hosts, given in natural order, to comma separated patterns.
pub(super) fn fold<'a>(hosts: impl Iterator<Item = &'a HostAddr>) -> String {
    let mut shapes: Vec<(Shape, Vec<Block>)> = Vec::new();
    let mut index: HashMap<Shape, usize> = HashMap::new();
    for host in hosts {
        let (texts, numbers) = split(&host.host);
        let shape = Shape { texts, port: host.port };
        let block = numbers.into_iter().map(|number| vec![number]).collect();
        if let Some((_, blocks)) = index.get(&shape).and_then(|at| shapes.get_mut(*at)) {
            blocks.push(block);
            continue;
        }
        let same = Shape { texts: shape.texts.clone(), port: shape.port };
        index.insert(shape, shapes.len());
        shapes.push((same, vec![block]));
    }
    let patterns = shapes.into_iter().flat_map(|(shape, blocks)| {
        merge(blocks).into_iter().map(move |block| pattern(&shape, &block)).collect::<Vec<_>>()
    });
    patterns.collect::<Vec<_>>().join(",")
}

/// Splits a name into texts and the numbers between them; there is one text more than numbers. Digits that open
/// a name and very long numbers count as text: no pattern could stand for them.
fn split(name: &str) -> (Vec<String>, Vec<String>) {
    if name.parse::<Ipv4Addr>().is_ok()
        && let Some((head, octet)) = name.rsplit_once('.')
    {
        return (vec![format!("{head}."), String::new()], vec![octet.to_owned()]);
    }
    let mut texts = vec![String::new()];
    let mut numbers = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let opens_name = rest.len() == name.len();
        if digits > 0 && digits <= MAX_RANGE_DIGITS && !opens_name {
            let (number, tail) = rest.split_at(digits);
            numbers.push(number.to_owned());
            texts.push(String::new());
            rest = tail;
            continue;
        }
        let other = rest.bytes().skip(digits).take_while(|b| !b.is_ascii_digit()).count();
        let (text, tail) = rest.split_at(digits + other);
        if let Some(last) = texts.last_mut() {
            last.push_str(text);
        }
        rest = tail;
    }
    (texts, numbers)
}

/// Merges blocks that differ in one number only, for each number from the last to the first.
fn merge(mut blocks: Vec<Block>) -> Vec<Block> {
    let dimensions = blocks.first().map_or(0, Vec::len);
    for dimension in (0..dimensions).rev() {
        let mut merged: Vec<Block> = Vec::new();
        let mut index: HashMap<Block, usize> = HashMap::new();
        for mut block in blocks {
            let values = block.get_mut(dimension).map(std::mem::take).unwrap_or_default();
            if let Some(into) = index.get(&block).and_then(|at| merged.get_mut(*at)) {
                if let Some(list) = into.get_mut(dimension) {
                    list.extend(values);
                }
                continue;
            }
            index.insert(block.clone(), merged.len());
            if let Some(list) = block.get_mut(dimension) {
                *list = values;
            }
            merged.push(block);
        }
        blocks = merged;
    }
    blocks
}

fn pattern(shape: &Shape, block: &Block) -> String {
    let mut out = String::new();
    for (index, text) in shape.texts.iter().enumerate() {
        out.push_str(text);
        match block.get(index).map(Vec::as_slice) {
            Some([single]) => out.push_str(single),
            Some(several) => out.push_str(&format!("[{}]", ranges(several))),
            None => {}
        }
    }
    if let Some(port) = shape.port {
        out.push_str(&format!(":{port}"));
    }
    out
}

/// Writes numbers as `1-3,7`. Runs are joined only where counting up in the width of the first number gives
/// exactly the next text.
fn ranges(numbers: &[String]) -> String {
    let mut sorted: Vec<&str> = numbers.iter().map(String::as_str).collect();
    sorted.sort_by_key(|number| (padded_width(number).unwrap_or(usize::MAX), value(number)));
    let mut runs: Vec<(&str, &str)> = Vec::new();
    for number in sorted {
        if let Some((first, last)) = runs.last_mut() {
            let width = padded_width(first).unwrap_or(0);
            if format!("{:0width$}", value(last) + 1) == number {
                *last = number;
                continue;
            }
        }
        runs.push((number, number));
    }
    let texts = runs.into_iter().map(|(first, last)| {
        if first == last { first.to_owned() } else { format!("{first}-{last}") }
    });
    texts.collect::<Vec<_>>().join(",")
}

fn padded_width(number: &str) -> Option<usize> {
    (number.len() > 1 && number.starts_with('0')).then_some(number.len())
}

fn value(number: &str) -> u64 {
    number.parse().unwrap_or(u64::MAX)
}

/// Orders names as people count: `node2` before `node10`.
pub(super) fn natural_order(left: &str, right: &str) -> Ordering {
    let (mut a, mut b) = (left, right);
    while !a.is_empty() && !b.is_empty() {
        let (number_a, rest_a) = next_token(a);
        let (number_b, rest_b) = next_token(b);
        let order = if starts_with_digit(a) && starts_with_digit(b) {
            let (x, y) = (number_a.trim_start_matches('0'), number_b.trim_start_matches('0'));
            x.len().cmp(&y.len()).then_with(|| x.cmp(y))
        } else {
            number_a.cmp(number_b)
        };
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    a.len().cmp(&b.len()).then_with(|| left.cmp(right))
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// The leading run of digits or of other characters, and the rest.
fn next_token(text: &str) -> (&str, &str) {
    let digits = starts_with_digit(text);
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
#[path = "fold_test.rs"]
mod tests;
