//! The wording of a fault in a YAML text.

use std::borrow::Cow;
use std::fmt;

use serde_saphyr::{Error, Localizer, MessageFormatter, UserMessageFormatter};

use super::{Hints, MAX_BYTES, Outline, Position, nearest};
use crate::fault::{Fault, code};

/// What kind of fault it is; each has its own number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// Not YAML, or more than one document.
    Syntax,
    /// A value of the wrong type or not one of the allowed words (R40).
    Type,
    /// A key that does not exist (R40, W20).
    UnknownKey,
    /// A key written twice.
    DuplicateKey,
    /// More than [`MAX_BYTES`], not UTF-8, or expanding without bound.
    Unreadable,
}

impl Problem {
    /// Fault number.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Syntax => code::CONFIG_SYNTAX,
            Self::Type => code::CONFIG_TYPE,
            Self::UnknownKey => code::CONFIG_UNKNOWN_KEY,
            Self::DuplicateKey => code::CONFIG_DUPLICATE_KEY,
            Self::Unreadable => code::CONFIG_UNREADABLE,
        }
    }
}

/// The first fault of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its kind.
    pub problem: Problem,
    /// Name of the text, usually a path.
    pub source_name: String,
    /// Where it is, when it is at one place.
    pub position: Option<Position>,
    /// Path of the key at that place.
    pub key: Option<String>,
    /// One line: what is wrong and what to write instead.
    pub message: String,
    /// The message with the lines around the place, without colours.
    pub rendered: String,
}

impl Diagnostic {
    pub(super) fn of(error: &Error, source_name: &str, outline: &Outline, hints: Hints) -> Self {
        let position = error.location().filter(|at| at.line() > 0).map(|at| Position {
            line: usize::try_from(at.line()).unwrap_or(usize::MAX),
            column: usize::try_from(at.column()).unwrap_or(usize::MAX),
        });
        let key = position.and_then(|at| outline.path_at(at)).map(str::to_owned);
        let words = Words { hints };
        let original = innermost(error);
        let rendered = error.render_with_options(serde_saphyr::render_options! {
            formatter: &words,
            source_name: Some(source_name),
        });
        Self {
            problem: classify(original),
            source_name: source_name.to_owned(),
            position,
            key,
            message: printable(&words.format_message(original)),
            rendered,
        }
    }

    pub(super) fn too_large(source_name: &str, bytes: usize) -> Self {
        let message = format!("{bytes} bytes, more than the {MAX_BYTES} that are read");
        Self::unreadable(source_name, None, message)
    }

    pub(super) fn not_utf8(source_name: &str, bytes: &[u8], valid_up_to: usize) -> Self {
        let before = bytes.get(..valid_up_to).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
        let message = "not UTF-8 text".to_owned();
        Self::unreadable(source_name, Some(Position { line, column }), message)
    }

    fn unreadable(source_name: &str, position: Option<Position>, message: String) -> Self {
        let at =
            position.map_or(String::new(), |at| format!("line {} column {}: ", at.line, at.column));
        Self {
            problem: Problem::Unreadable,
            source_name: source_name.to_owned(),
            position,
            key: None,
            rendered: format!("error: {at}{message}\n --> {source_name}"),
            message,
        }
    }

    /// The fault of this diagnostic, in the given domain.
    #[must_use]
    pub fn fault(&self, domain: &'static str) -> Fault {
        let at = self
            .position
            .map_or(String::new(), |at| format!(" line {} column {}", at.line, at.column));
        Fault::new(
            domain,
            self.problem.code(),
            format!("{}{at}: {}", self.source_name, self.message),
            "correct that line; the file may be for another version, see examples/config",
        )
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.position {
            Some(at) => write!(f, " at line {}, column {}", at.line, at.column),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Diagnostic {}

/// Control characters from a file must not reach a terminal.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { out.extend(c.escape_debug()) } else { out.push(c) }
    }
    out
}

fn innermost(mut error: &Error) -> &Error {
    while let Error::AliasError { error: inner, .. } | Error::WithSnippet { error: inner, .. } =
        error
    {
        error = inner;
    }
    error
}

fn classify(error: &Error) -> Problem {
    match error {
        Error::SerdeUnknownField { .. } => Problem::UnknownKey,
        Error::DuplicateMappingKey { .. } => Problem::DuplicateKey,
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::InvalidUtf8Input => Problem::Unreadable,
        Error::Unexpected { .. }
        | Error::InvalidScalar { .. }
        | Error::InvalidBooleanStrict { .. }
        | Error::NullIntoString { .. }
        | Error::UnexpectedValueForUnit { .. }
        | Error::UnexpectedValueForUnitEnumVariant { .. }
        | Error::ExpectedStringKeyForExternallyTaggedEnum { .. }
        | Error::ExternallyTaggedEnumExpectedScalarOrMapping { .. }
        | Error::SerdeInvalidType { .. }
        | Error::SerdeInvalidValue { .. }
        | Error::SerdeInvalidLength { .. }
        | Error::SerdeUnknownVariant { .. }
        | Error::Message { .. } => Problem::Type,
        _ => Problem::Syntax,
    }
}

/// Our words for the faults administrators meet; the library's for the rest.
struct Words {
    hints: Hints,
}

impl Words {
    fn unknown_key(&self, key: &str, valid: &[&'static str]) -> String {
        if let Some((_, hint)) = self.hints.iter().find(|(written, _)| *written == key) {
            return format!("unknown key `{key}`: {hint}");
        }
        match nearest(key, valid.iter().copied()) {
            Some(near) => format!("unknown key `{key}`; did you mean `{near}`?"),
            None => format!("unknown key `{key}`; valid here: {}", valid.join(", ")),
        }
    }
}

impl MessageFormatter for Words {
    fn localizer(&self) -> &dyn Localizer {
        UserMessageFormatter.localizer()
    }

    fn format_message<'a>(&self, error: &'a Error) -> Cow<'a, str> {
        match error {
            Error::SerdeUnknownField { field, expected, .. } => {
                self.unknown_key(field, expected).into()
            }
            Error::DuplicateMappingKey { key, .. } => match key {
                Some(key) => format!("key `{key}` is written twice; keep one").into(),
                None => "a key is written twice; keep one".into(),
            },
            Error::SerdeUnknownVariant { variant, expected, .. } => {
                let words: Vec<_> =
                    expected.iter().filter(|word| !word.is_empty()).copied().collect();
                format!("`{variant}` is not one of {}", words.join(", ")).into()
            }
            Error::InvalidScalar { ty, .. } => match *ty {
                "bool" | "boolean" => "expected true or false".into(),
                "f32" | "f64" => "expected a number".into(),
                ty if ty.starts_with(['i', 'u']) => "expected a whole number".into(),
                ty => format!("expected {ty}").into(),
            },
            Error::Unexpected { expected, .. } => match *expected {
                "sequence start" => "expected a list".into(),
                "mapping start" => "expected keys and values".into(),
                "string scalar" | "scalar" => "expected one value, not a list or keys".into(),
                other => format!("expected {other}").into(),
            },
            Error::MultipleDocuments { .. } => "a second document; one file holds one".into(),
            other => UserMessageFormatter.format_message(other),
        }
    }
}
