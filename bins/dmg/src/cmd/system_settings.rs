//! Properties and attributes of the system.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::json;
use crate::outcome::{Failure, Outcome};
use crate::print;
use crate::session::Session;

pub async fn set_properties(session: &Session, text: &str) -> Result<Outcome, Failure> {
    session.client()?.set_properties(&pairs(text)?).await?;
    Ok(Outcome::text("system set-prop succeeded\n"))
}

pub async fn properties(session: &Session, text: Option<&str>) -> Result<Outcome, Failure> {
    let (found, source) = session.client()?.properties_with_source(&names(text)?).await?;
    let labelled: BTreeMap<String, String> = found
        .iter()
        .map(|(key, value)| (format!("{} ({key})", meaning(key)), value.clone()))
        .collect();
    let stdout = if found.is_empty() {
        "No system properties found.\n".to_owned()
    } else {
        print::pairs(&labelled)
    };
    let (stderr, response) =
        (print::stale_remark(source.as_ref()), json::properties(&found, meaning).into());
    Ok(Outcome { stdout, stderr, response, failure: None })
}

pub async fn set_attributes(session: &Session, text: &str) -> Result<Outcome, Failure> {
    session.client()?.set_attributes(&pairs(text)?).await?;
    Ok(Outcome::text("system set-attr succeeded\n"))
}

pub async fn delete_attributes(session: &Session, text: &str) -> Result<Outcome, Failure> {
    let deleted = names(Some(text))?.into_iter().map(|name| (name, String::new()));
    session.client()?.set_attributes(&deleted.collect()).await?;
    Ok(Outcome::text("system del-attr succeeded\n"))
}

pub async fn attributes(session: &Session, text: Option<&str>) -> Result<Outcome, Failure> {
    let (found, source) = session.client()?.attributes_with_source(&names(text)?).await?;
    let stdout = if found.is_empty() {
        "No system attributes found.\n".to_owned()
    } else {
        print::pairs(&found)
    };
    let attributes: serde_json::Map<String, Value> =
        found.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
    let stderr = print::stale_remark(source.as_ref());
    let response = json!({"attributes": attributes}).into();
    Ok(Outcome { stdout, stderr, response, failure: None })
}

/// What a property of the system is about.
fn meaning(key: &str) -> &'static str {
    match key {
        "daos_version" => "DAOS version",
        "daos_system" => "DAOS system name",
        "self_heal" => "Self-heal policy for the system",
        "pool_scrub_mode" => "Pool scrubbing mode",
        "pool_scrub_thresh" => "Pool scrubbing threshold",
        _ => "System property",
    }
}

/// Reads `name:value,name:value`; a value may hold further colons.
fn pairs(text: &str) -> Result<BTreeMap<String, String>, Failure> {
    let mut pairs = BTreeMap::new();
    for item in text.split(',') {
        let (name, value) = item
            .split_once(':')
            .map(|(name, value)| (name.trim(), value.trim()))
            .filter(|(name, value)| !name.is_empty() && !value.is_empty())
            .ok_or_else(|| Failure::text(format!("{item:?} is not of the form name:value")))?;
        if pairs.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(Failure::text(format!("{name:?} is given twice")));
        }
    }
    Ok(pairs)
}

fn names(text: Option<&str>) -> Result<Vec<String>, Failure> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    if names.iter().any(String::is_empty) {
        return Err(Failure::text(format!("{text:?} has an empty name in it")));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::{names, pairs};

    #[test]
    fn pairs_are_split_at_the_first_colon() {
        let read = pairs("self_heal:exclude;pool_rebuild, a : b:c").unwrap();
        assert_eq!(read["self_heal"], "exclude;pool_rebuild");
        assert_eq!(read["a"], "b:c");
        for bad in ["", "a", "a:", ":b", "a:1,a:2", "a:1,"] {
            assert!(pairs(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_are_never_empty() {
        assert_eq!(names(None).unwrap(), Vec::<String>::new());
        assert_eq!(names(Some("a, b")).unwrap(), ["a", "b"]);
        assert!(names(Some("a,,b")).is_err());
    }
}
