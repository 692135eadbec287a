//! System properties and attributes: which there are, what they may be, what they are now (contract 6.2).

use std::collections::BTreeMap;

use crate::command::Change;
use crate::error::{AttributeError, PropertyError};
use crate::system::System;

/// Name spaces that an administrator's attribute may not be in.
pub const RESERVED_PREFIXES: [&str; 2] = ["mgmt.", "prop."];

/// The version of DAOS that this system is to its peers.
pub const DAOS_VERSION: &str = "2.8.0";

/// What happens of itself when an engine is found dead: the property `self_heal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelfHeal {
    /// The rank is excluded from the system.
    pub exclude: bool,
    /// The rank is excluded from its pools.
    pub pool_exclude: bool,
    /// Pools are rebuilt.
    pub pool_rebuild: bool,
}

struct Property {
    key: &'static str,
    default: &'static str,
    valid: &'static str,
    accepts: fn(&str) -> bool,
}

const SELF_HEAL: &str = "self_heal";
const SELF_HEAL_FLAGS: [&str; 3] = ["exclude", "pool_exclude", "pool_rebuild"];

const STORED: [Property; 3] = [
    Property {
        key: "pool_scrub_mode",
        default: "off",
        valid: "off, lazy, timed",
        accepts: |value| matches!(value, "off" | "lazy" | "timed"),
    },
    Property {
        key: "pool_scrub_thresh",
        default: "0",
        valid: "a number",
        accepts: |value| {
            value.bytes().all(|byte| byte.is_ascii_digit()) && value.parse::<u64>().is_ok()
        },
    },
    Property {
        key: SELF_HEAL,
        default: "exclude;pool_exclude;pool_rebuild",
        valid: "none, or any of exclude;pool_exclude;pool_rebuild in this order",
        accepts: |value| parse_self_heal(value).is_some(),
    },
];

/// Properties that nobody stores, because they follow from something else.
const COMPUTED: [&str; 2] = ["daos_system", "daos_version"];

fn computed(system: &System) -> [String; 2] {
    [system.identity().name.clone(), DAOS_VERSION.to_owned()]
}

/// The change that sets properties, after a look at every name and value.
///
/// # Errors
/// An unknown or computed property, or a value that does not fit; then nothing is set.
pub fn set_properties(values: &BTreeMap<String, String>) -> Result<Change, PropertyError> {
    if values.is_empty() {
        return Err(PropertyError::NoneGiven);
    }
    for (key, value) in values {
        let key = key.clone();
        if COMPUTED.contains(&key.as_str()) {
            return Err(PropertyError::ReadOnly { key });
        }
        let Some(property) = STORED.iter().find(|property| property.key == key) else {
            return Err(PropertyError::Unknown { key });
        };
        if !(property.accepts)(value) {
            return Err(PropertyError::BadValue {
                key,
                value: value.clone(),
                valid: property.valid,
            });
        }
    }
    Ok(Change::SetProperties { values: values.clone() })
}

/// The named properties, or all of them when none is named.
///
/// # Errors
/// An unknown property.
pub fn get_properties(
    system: &System,
    keys: &[String],
) -> Result<BTreeMap<String, String>, PropertyError> {
    let mut all: BTreeMap<String, String> =
        STORED.iter().map(|known| (known.key.to_owned(), stored(system, known))).collect();
    all.extend(COMPUTED.map(str::to_owned).into_iter().zip(computed(system)));
    if keys.is_empty() {
        return Ok(all);
    }
    let named = keys.iter().map(|key| match all.get(key) {
        Some(value) => Ok((key.clone(), value.clone())),
        None => Err(PropertyError::Unknown { key: key.clone() }),
    });
    named.collect()
}

fn stored(system: &System, property: &Property) -> String {
    let value = system.properties().get(property.key);
    value.map_or(property.default, String::as_str).to_owned()
}

/// What `self_heal` says now. A value that cannot be read counts as the default.
#[must_use]
pub fn self_heal(system: &System) -> SelfHeal {
    let value = system.properties().get(SELF_HEAL);
    let all = SelfHeal { exclude: true, pool_exclude: true, pool_rebuild: true };
    value.and_then(|value| parse_self_heal(value)).unwrap_or(all)
}

fn parse_self_heal(value: &str) -> Option<SelfHeal> {
    let named: Vec<&str> = if value == "none" { Vec::new() } else { value.split(';').collect() };
    let flags = SELF_HEAL_FLAGS.map(|flag| named.contains(&flag));
    let in_order: Vec<&str> = SELF_HEAL_FLAGS.into_iter().filter(|f| named.contains(f)).collect();
    let [exclude, pool_exclude, pool_rebuild] = flags;
    (in_order == named).then_some(SelfHeal { exclude, pool_exclude, pool_rebuild })
}

/// The change that sets an administrator's attributes; an empty value deletes one.
///
/// # Errors
/// An empty name or one in a reserved name space; then nothing is set.
pub fn set_attributes(values: &BTreeMap<String, String>) -> Result<Change, AttributeError> {
    if values.is_empty() {
        return Err(AttributeError::NoneGiven);
    }
    for key in values.keys() {
        check_attribute_name(key)?;
    }
    Ok(Change::SetAttributes { values: values.clone() })
}

fn check_attribute_name(key: &str) -> Result<(), AttributeError> {
    if key.is_empty() {
        return Err(AttributeError::EmptyName);
    }
    match RESERVED_PREFIXES.iter().find(|prefix| key.starts_with(**prefix)) {
        Some(prefix) => Err(AttributeError::Reserved { key: key.to_owned(), prefix }),
        None => Ok(()),
    }
}

/// The named attributes, or all of them when none is named.
///
/// # Errors
/// A name that was never set, or that is reserved.
pub fn get_attributes(
    system: &System,
    keys: &[String],
) -> Result<BTreeMap<String, String>, AttributeError> {
    if keys.is_empty() {
        return Ok(system.attributes().clone());
    }
    let named = keys.iter().map(|key| {
        check_attribute_name(key)?;
        match system.attributes().get(key) {
            Some(value) => Ok((key.clone(), value.clone())),
            None => Err(AttributeError::NotFound { key: key.clone() }),
        }
    });
    named.collect()
}
