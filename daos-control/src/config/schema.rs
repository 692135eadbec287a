//! The JSON schema of the configuration file, for editors.

use super::raw::RawConfig;

/// The schema as indented JSON with a closing newline; `docs/config/daos_server.schema.json` is this text.
#[must_use]
pub fn schema() -> String {
    let schema = schemars::schema_for!(RawConfig);
    // A schema is plain JSON; it cannot fail to print.
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}
