//! JSON for programs: the stock envelope and the keys of contract 8.3. Pure.

mod hosts;
mod network;
mod storage;
mod system;

use serde_json::{Value, json};

pub use network::fabrics;
pub use storage::{format_results, plans, scan};
pub use system::{leader, log_masks, operations, pools, properties, status};

/// The envelope, indented by two blanks, escaped as stock tools do, with a newline at the end.
pub fn envelope(response: &Value, error: Option<&str>, status: i32) -> String {
    let envelope = json!({"response": response, "error": error, "status": status});
    let text = serde_json::to_string_pretty(&envelope).unwrap_or_else(|_| "{}".to_owned());
    escape(&text) + "\n"
}

/// Escapes what could end a script element or a line in HTML and JavaScript. These characters occur in strings only.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)))
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::envelope;

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
        let text = envelope(&json!("<nil> & \u{2028}"), None, 0);
        assert!(text.contains("\"\\u003cnil\\u003e \\u0026 \\u2028\""), "{text}");
        let back: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(back["response"], json!("<nil> & \u{2028}"));
    }
}
