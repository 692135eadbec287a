//! The envelope around every result, and a result on its way into it. Pure.

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::members::Members;

/// What a command found, for the envelope.
#[derive(Debug)]
pub enum Response {
    /// Anything small.
    Value(Value),
    /// The members of a system. They may be many, so they are written as they are and not made into values first.
    Members(Box<Members>),
}

impl Default for Response {
    fn default() -> Self {
        Self::Value(Value::Null)
    }
}

impl From<Value> for Response {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

impl Serialize for Response {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => value.serialize(serializer),
            Self::Members(members) => members.serialize(serializer),
        }
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    response: &'a Response,
    error: Option<&'a str>,
    status: i32,
}

/// The envelope, indented by two blanks, escaped as stock tools do, with a newline at the end.
pub fn envelope(response: &Response, error: Option<&str>, status: i32) -> String {
    let text = serde_json::to_string_pretty(&Envelope { response, error, status });
    escape(text.unwrap_or_else(|_| "{}".to_owned()))
}

/// The envelope in one line, for output that goes on.
pub fn envelope_line(response: &Response, error: Option<&str>, status: i32) -> String {
    let text = serde_json::to_string(&Envelope { response, error, status });
    escape(text.unwrap_or_else(|_| "{}".to_owned()))
}

/// A value in one line.
pub fn line(value: &Value) -> String {
    escape(value.to_string())
}

/// Escapes what could end a script element or a line in HTML and JavaScript. These characters occur in strings only. A text of
/// some megabytes that has none of them is not copied.
fn escape(mut text: String) -> String {
    if special(text.as_bytes()).is_none() {
        text.push('\n');
        return text;
    }
    let mut out = String::with_capacity(text.len() + 1);
    let mut rest = text.as_str();
    while let Some(at) = special(rest.as_bytes()) {
        let (plain, from) = rest.split_at(at);
        out.push_str(plain);
        let mut left = from.chars();
        match left.next() {
            Some(c @ ('<' | '>' | '&' | '\u{2028}' | '\u{2029}')) => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            Some(c) => out.push(c),
            None => {}
        }
        rest = left.as_str();
    }
    out.push_str(rest);
    out.push('\n');
    out
}

/// Where the first character begins that may have to be escaped.
fn special(text: &[u8]) -> Option<usize> {
    let first = memchr::memchr3(b'<', b'>', b'&', text);
    // The separators of lines and of paragraphs begin with this byte.
    let before = text.get(..first.unwrap_or(text.len())).unwrap_or(text);
    memchr::memchr(0xE2, before).or(first)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Response, envelope as envelope_of};

    fn envelope(response: &Value, error: Option<&str>, status: i32) -> String {
        envelope_of(&Response::from(response.clone()), error, status)
    }

    /// Contract 8.3: keys, order, indentation, newline.
    #[test]
    fn the_envelope_is_the_stock_one() {
        assert_eq!(
            envelope(&json!({"members": []}), None, 0),
            "{\n  \"response\": {\n    \"members\": []\n  },\n  \"error\": null,\n  \"status\": 0\n}\n"
        );
        assert_eq!(
            envelope(&Value::Null, Some("no"), -1025),
            "{\n  \"response\": null,\n  \"error\": \"no\",\n  \"status\": -1025\n}\n"
        );
    }

    /// Contract 8.3: `<`, `>` and `&` are escaped, and what comes out is still the same value.
    #[test]
    fn text_is_escaped_as_stock_tools_do() {
        let text = envelope(&json!("<nil> & \u{2028} €‧"), None, 0);
        assert!(text.contains("\"\\u003cnil\\u003e \\u0026 \\u2028 €‧\""), "{text}");
        let back: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(back["response"], json!("<nil> & \u{2028} €‧"));
    }
}
