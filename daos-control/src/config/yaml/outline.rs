//! Where each key of a YAML text stands.
//!
//! Built from parser events, so it exists for texts that are well formed only in part. Knows no key by name.

use std::collections::BTreeMap;

use serde_saphyr::granit_parser::{Event, Marker, Parser};

/// Deepest nesting that is recorded; deeper keys are found through their ancestors.
const MAX_DEPTH: usize = 12;

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Position {
    fn of(marker: &Marker) -> Self {
        Self { line: marker.line(), column: marker.col() + 1 }
    }
}

/// The places of all keys and list entries of a text, by path: `engines[0].storage[1].bdev_list`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    positions: BTreeMap<String, Position>,
    in_order: Vec<(Position, String)>,
}

impl Outline {
    /// Reads a text as far as it is well formed.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut walk = Walk::default();
        for event in Parser::new_from_str(text) {
            let Ok((event, span)) = event else { break };
            walk.step(&event, Position::of(&span.start));
        }
        walk.outline
    }

    /// Where `path` stands, if it is written there.
    #[must_use]
    pub fn position(&self, path: &str) -> Option<Position> {
        self.positions.get(path).copied()
    }

    /// Where `path`, or else the nearest enclosing key that is written, stands.
    #[must_use]
    pub fn nearest_position(&self, path: &str) -> Option<Position> {
        let mut path = path;
        loop {
            if let Some(at) = self.position(path) {
                return Some(at);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }

    /// Whether `path` is written.
    #[must_use]
    pub fn contains(&self, path: &str) -> bool {
        self.positions.contains_key(path)
    }

    /// Whether the text has no content at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.in_order.is_empty()
    }

    /// The last key or entry that starts at or before a place.
    #[must_use]
    pub fn path_at(&self, at: Position) -> Option<&str> {
        let after = self.in_order.partition_point(|(start, _)| *start <= at);
        self.in_order[..after].last().map(|(_, path)| path.as_str())
    }

    fn record(&mut self, path: String, at: Position) {
        self.positions.entry(path.clone()).or_insert(at);
        self.in_order.push((at, path));
    }
}

/// One open collection while walking.
enum Open {
    Mapping { path: String, key: Option<String> },
    Sequence { path: String, next: usize },
}

#[derive(Default)]
struct Walk {
    outline: Outline,
    open: Vec<Open>,
    /// Collections open below `MAX_DEPTH`, or inside a key that is itself a collection.
    ignored: usize,
}

impl Walk {
    fn step(&mut self, event: &Event<'_>, at: Position) {
        match event {
            Event::MappingStart(..) | Event::SequenceStart(..) if self.ignored > 0 => {
                self.ignored += 1
            }
            Event::MappingEnd | Event::SequenceEnd if self.ignored > 0 => self.ignored -= 1,
            _ if self.ignored > 0 => {}
            Event::Scalar(text, ..) => self.scalar(text, at),
            Event::Alias(_) => {
                self.begin_value(at);
            }
            Event::MappingStart(..) => {
                let path = self.begin_value(at);
                self.push(path.map(|path| Open::Mapping { path, key: None }));
            }
            Event::SequenceStart(..) => {
                let path = self.begin_value(at);
                self.push(path.map(|path| Open::Sequence { path, next: 0 }));
            }
            Event::MappingEnd | Event::SequenceEnd => {
                self.open.pop();
            }
            _ => {}
        }
    }

    fn push(&mut self, collection: Option<Open>) {
        match collection {
            Some(collection) if self.open.len() < MAX_DEPTH => self.open.push(collection),
            _ => self.ignored = 1,
        }
    }

    fn scalar(&mut self, text: &str, at: Position) {
        if let Some(Open::Mapping { path, key: key @ None }) = self.open.last_mut() {
            let full = if path.is_empty() { text.to_owned() } else { format!("{path}.{text}") };
            *key = Some(full.clone());
            self.outline.record(full, at);
        } else {
            self.begin_value(at);
        }
    }

    /// The path of the value that starts here; none when it is a mapping's key and no plain text.
    fn begin_value(&mut self, at: Position) -> Option<String> {
        match self.open.last_mut() {
            None => Some(String::new()),
            Some(Open::Mapping { key, .. }) => {
                let path = key.take();
                if path.is_none() {
                    *key = Some("?".to_owned());
                }
                path
            }
            Some(Open::Sequence { path, next }) => {
                let full = format!("{path}[{next}]");
                *next += 1;
                self.outline.record(full.clone(), at);
                Some(full)
            }
        }
    }
}
