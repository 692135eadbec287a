//! The host list grammar (contract 8.4): text to set, every refusal with its place.
//!
//! Pure. Called by the set only.

use super::error::{HostListError, HostListProblem as Problem};
use super::{HostAddr, HostSet, MAX_HOSTS};

/// Digits a number in a range may have: more cannot lie within the limit of hosts anyway.
pub(super) const MAX_RANGE_DIGITS: usize = 9;

/// Reads a whole list.
pub(super) fn host_list(text: &str) -> Result<HostSet, HostListError> {
    let mut set = HostSet::default();
    for (start, item) in items(text) {
        let error = |at: usize, problem| HostListError::new(text, start + at, problem);
        for host in pattern(item).map_err(|(at, problem)| error(at, problem))? {
            set.insert(host);
        }
        if set.len() > MAX_HOSTS {
            return Err(error(0, Problem::TooManyHosts { limit: MAX_HOSTS }));
        }
    }
    if set.is_empty() {
        return Err(HostListError::new(text, 0, Problem::Empty));
    }
    Ok(set)
}

/// Splits at commas, blanks and tabs outside brackets; yields byte offset and text of each item.
fn items(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_brackets = false;
    text.split(move |c: char| {
        match c {
            '[' => in_brackets = true,
            ']' => in_brackets = false,
            _ => {}
        }
        !in_brackets && matches!(c, ',' | ' ' | '\t')
    })
    .filter(|item| !item.is_empty())
    .map(|item| (item.as_ptr() as usize - text.as_ptr() as usize, item))
}

/// A problem and its byte offset within the item.
type Found = (usize, Problem);

/// One piece of a pattern.
enum Piece {
    Text(String),
    Range { at: usize, parts: Vec<Part> },
}

/// `7` or `08-10` of a range. `width` is that of the first number when it is zero padded.
struct Part {
    first: u64,
    last: u64,
    width: usize,
}

impl Part {
    fn count(&self) -> usize {
        usize::try_from(self.last - self.first).unwrap_or(usize::MAX).saturating_add(1)
    }
}

fn pattern(item: &str) -> Result<Vec<HostAddr>, Found> {
    let (name, port) = split_port(item)?;
    check_start(name)?;
    let pieces = pieces(name)?;
    check_not_bare_number(name, &pieces)?;
    check_size(&pieces)?;
    Ok(expand(&pieces).into_iter().map(|host| HostAddr { host, port }).collect())
}

fn split_port(item: &str) -> Result<(&str, Option<u16>), Found> {
    let Some((name, port)) = item.split_once(':') else {
        return Ok((item, None));
    };
    let at = name.len() + 1;
    if let Some(second) = port.find(':') {
        return Err((at + second, Problem::TooManyColons));
    }
    if name.is_empty() {
        return Err((0, Problem::EmptyHost));
    }
    if port.is_empty() {
        return Err((at, Problem::EmptyPort));
    }
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(number) if digits && number > 0 => Ok((name, Some(number))),
        _ => Err((at, Problem::BadPort(port.to_owned()))),
    }
}

fn check_start(name: &str) -> Result<(), Found> {
    match name.chars().next() {
        None => Err((0, Problem::EmptyHost)),
        Some('[') => Err((0, Problem::EmptyPrefix)),
        Some(']') => Err((0, Problem::UnopenedBracket)),
        Some(c) if c.is_ascii_alphanumeric() => Ok(()),
        Some(c) if is_name_char(c) => Err((0, Problem::BadStart(c))),
        Some(c) => Err((0, Problem::BadCharacter(c))),
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

fn pieces(name: &str) -> Result<Vec<Piece>, Found> {
    let mut pieces = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let at = name.len() - rest.len();
        let end = rest.find(['[', ']']).unwrap_or(rest.len());
        let (text, tail) = rest.split_at(end);
        if let Some((offset, bad)) = text.char_indices().find(|(_, c)| !is_name_char(*c)) {
            return Err((at + offset, Problem::BadCharacter(bad)));
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        rest = tail;
        if let Some(inside) = tail.strip_prefix('[') {
            let (parts, used) = range(inside, at + end + 1)?;
            pieces.push(Piece::Range { at: at + end, parts });
            rest = inside.get(used..).unwrap_or_default();
        } else if tail.starts_with(']') {
            return Err((at + end, Problem::UnopenedBracket));
        }
    }
    Ok(pieces)
}

/// Reads what follows a `[`; returns the parts and how many bytes were used, the `]` included.
fn range(inside: &str, at: usize) -> Result<(Vec<Part>, usize), Found> {
    let end = inside.find(']').ok_or((at - 1, Problem::UnclosedBracket))?;
    let body = inside.get(..end).unwrap_or_default();
    if let Some(nested) = body.find('[') {
        return Err((at + nested, Problem::NestedBracket));
    }
    let mut parts = Vec::new();
    let mut offset = at;
    for text in body.split(',') {
        parts.push(part(text, offset)?);
        offset += text.len() + 1;
    }
    Ok((parts, end + 1))
}

fn part(text: &str, at: usize) -> Result<Part, Found> {
    let Some((first_text, last_text)) = text.split_once('-') else {
        let first = number(text, at)?;
        return Ok(Part { first, last: first, width: width(text) });
    };
    let first = number(first_text, at)?;
    let last = number(last_text, at + first_text.len() + 1)?;
    if last < first {
        return Err((at, Problem::ReversedRange { first, last }));
    }
    Ok(Part { first, last, width: width(first_text) })
}

fn number(text: &str, at: usize) -> Result<u64, Found> {
    if text.is_empty() {
        return Err((at, Problem::MissingNumber));
    }
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err((at, Problem::NotANumber(text.to_owned())));
    }
    match text.parse() {
        Ok(number) if text.len() <= MAX_RANGE_DIGITS => Ok(number),
        _ => Err((at, Problem::NumberTooLarge(text.to_owned()))),
    }
}

fn width(number: &str) -> usize {
    if number.len() > 1 && number.starts_with('0') { number.len() } else { 0 }
}

/// A name needs a letter unless it is an IPv4 address, whose only range is its whole last octet.
fn check_not_bare_number(name: &str, pieces: &[Piece]) -> Result<(), Found> {
    if name.bytes().any(|b| b.is_ascii_alphabetic()) {
        return Ok(());
    }
    let octets = octets(pieces);
    if octets.len() != 4 || octets.iter().any(Vec::is_empty) {
        return Err((0, Problem::BareNumber(name.to_owned())));
    }
    for (index, octet) in octets.iter().enumerate() {
        match octet.as_slice() {
            [Octet::Text(text)] => check_octet(text, name)?,
            [Octet::Range(_, parts)] if index == 3 => {
                for part in *parts {
                    let width = part.width;
                    check_octet(&format!("{:0width$}", part.last), name)?;
                    check_octet(&format!("{:0width$}", part.first), name)?;
                }
            }
            several => {
                let at = several.iter().find_map(|o| match o {
                    Octet::Range(at, _) => Some(*at),
                    Octet::Text(_) => None,
                });
                return Err((at.unwrap_or(0), Problem::RangeNotInLastOctet));
            }
        }
    }
    Ok(())
}

enum Octet<'a> {
    Text(&'a str),
    Range(usize, &'a [Part]),
}

fn octets(pieces: &[Piece]) -> Vec<Vec<Octet<'_>>> {
    let mut octets = vec![Vec::new()];
    for piece in pieces {
        let mut add = |octet| match octets.last_mut() {
            Some(last) => last.push(octet),
            None => octets.push(vec![octet]),
        };
        match piece {
            Piece::Range { at, parts } => add(Octet::Range(*at, parts)),
            Piece::Text(text) => {
                for (index, label) in text.split('.').enumerate() {
                    if index > 0 {
                        octets.push(Vec::new());
                    }
                    if !label.is_empty()
                        && let Some(last) = octets.last_mut()
                    {
                        last.push(Octet::Text(label));
                    }
                }
            }
        }
    }
    octets
}

fn check_octet(octet: &str, name: &str) -> Result<(), Found> {
    if !octet.bytes().all(|b| b.is_ascii_digit()) {
        return Err((0, Problem::BareNumber(name.to_owned())));
    }
    match octet.parse::<u8>() {
        Ok(_) if width(octet) == 0 => Ok(()),
        _ => Err((0, Problem::BadOctet(octet.to_owned()))),
    }
}

fn check_size(pieces: &[Piece]) -> Result<(), Found> {
    let mut total = 1usize;
    for piece in pieces {
        let Piece::Range { at, parts } = piece else { continue };
        let count = parts.iter().fold(0usize, |sum, part| sum.saturating_add(part.count()));
        total = total.saturating_mul(count);
        if total > MAX_HOSTS {
            return Err((*at, Problem::TooManyHosts { limit: MAX_HOSTS }));
        }
    }
    Ok(())
}

fn expand(pieces: &[Piece]) -> Vec<String> {
    let mut names = vec![String::new()];
    for piece in pieces {
        match piece {
            Piece::Text(text) => names.iter_mut().for_each(|name| name.push_str(text)),
            Piece::Range { parts, .. } => {
                names = names.iter().flat_map(|name| numbered(name, parts)).collect()
            }
        }
    }
    names
}

fn numbered(name: &str, parts: &[Part]) -> Vec<String> {
    parts
        .iter()
        .flat_map(|part| {
            let width = part.width;
            (part.first..=part.last).map(move |number| format!("{name}{number:0width$}"))
        })
        .collect()
}

#[cfg(test)]
#[path = "parse_test.rs"]
mod tests;
