//! Rules of provider, interface and port (R28, R41, R44).

use super::Entries;
use super::check::{Check, INVALID, text};
use super::server::one_provider;
use crate::config::model::Fabric;
use crate::config::raw::{RawConfig, RawEngine};
use crate::fault::code;

/// The provider of the whole server: required as soon as there are engines (R41).
pub(super) fn top_level(check: &mut Check<'_>, raw: &RawConfig, entries: &Entries<'_>) {
    let provider = text(raw.provider.as_ref());
    if provider.is_none() && (!entries.entries.is_empty() || !entries.written) {
        check.fault(
            "provider",
            code::SERVER_CONFIG_BAD_PROVIDER,
            "provider not specified",
            "set `provider` at the top level, e.g. `ofi+tcp`",
        );
    }
    provider_name(check, "provider", provider);
}

/// The network of one engine: its own keys, else those of the top level.
pub(super) fn engine(
    check: &mut Check<'_>,
    raw: &RawConfig,
    engine: &RawEngine,
    index: u32,
    path: &str,
) -> Fabric {
    provider_name(check, &format!("{path}.provider"), text(engine.provider.as_ref()));
    if engine.secondary_provider_endpoints.as_ref().is_some_and(|list| !list.is_empty()) {
        one_provider(check, &format!("{path}.secondary_provider_endpoints"));
    }
    let provider = text(engine.provider.as_ref()).or(inherited_provider(raw));
    let interface = text(engine.fabric_iface.as_ref()).or(text(raw.fabric_iface.as_ref()));
    if interface.is_none() {
        check.fault(
            format!("{path}.fabric_iface"),
            INVALID,
            format!("engine {index}: fabric: missing interface"),
            "set `fabric_iface` in the engine's section or at the top level",
        );
    }
    Fabric {
        provider: provider.unwrap_or_default().to_owned(),
        interface: interface.unwrap_or_default().to_owned(),
        port: port(check, raw, engine, index, path),
        crt_timeout_s: crt_timeout(check, raw, engine, path),
        disable_srx: engine.disable_srx.or(raw.disable_srx).unwrap_or(false),
        auth_key: text(engine.fabric_auth_key.as_ref())
            .or(text(raw.fabric_auth_key.as_ref()))
            .map(str::to_owned),
    }
}

/// Plain verbs cannot carry the engine's messages; the message layer above is added (contract 4.3).
fn inherited_provider(raw: &RawConfig) -> Option<&str> {
    match text(raw.provider.as_ref())? {
        "ofi+verbs" => Some("ofi+verbs;ofi_rxm"),
        other => Some(other),
    }
}

fn provider_name(check: &mut Check<'_>, key: &str, provider: Option<&str>) {
    if provider.is_some_and(|name| name.contains([',', ' '])) {
        one_provider(check, key);
    }
}

fn port(check: &mut Check<'_>, raw: &RawConfig, engine: &RawEngine, index: u32, path: &str) -> u16 {
    let key = format!("{path}.fabric_iface_port");
    let written = engine.fabric_iface_port.or(raw.fabric_iface_port);
    if written.is_none() {
        check.fault(
            &key,
            INVALID,
            format!("engine {index}: fabric: missing port"),
            "set `fabric_iface_port` in the engine's section or at the top level",
        );
    }
    let from = if engine.fabric_iface_port.is_some() { key.as_str() } else { "fabric_iface_port" };
    check.number(from, written, 1..=65535, INVALID).unwrap_or(0)
}

fn crt_timeout(
    check: &mut Check<'_>,
    raw: &RawConfig,
    engine: &RawEngine,
    path: &str,
) -> Option<u32> {
    let range = 0..=i64::from(u32::MAX);
    match engine.crt_timeout {
        Some(_) => check.number(&format!("{path}.crt_timeout"), engine.crt_timeout, range, INVALID),
        None => check.number("crt_timeout", raw.crt_timeout, range, INVALID),
    }
}
