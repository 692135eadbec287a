//! `version`.

use serde_json::json;

use crate::outcome::Outcome;

/// The version of DAOS that is spoken on the wire.
const SPEAKS: &str = "2.8.0";

pub fn show() -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    Outcome {
        stdout: format!("dmg version v{version} (speaks DAOS {SPEAKS})\n"),
        response: json!({"name": "dmg", "version": version, "build_info": format!("speaks DAOS {SPEAKS}")}).into(),
        ..Outcome::default()
    }
}
