//! What clients are told of this host's fabric, from its configuration (contract 2.1 `ClientNetHint`). Pure.

use crate::config::{EngineConfig, ServerConfig};
use crate::network::{NetDevClass, Network};

/// Engine variable that overrides `disable_srx`.
const USE_SRX: &str = "FI_OFI_RXM_USE_SRX";

/// Network settings that clients should share with the engines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttachHints {
    /// Provider, e.g. `ofi+tcp`; empty without engines.
    pub provider: String,
    /// Timeout in seconds, 0 for the library's own.
    pub crt_timeout_s: u32,
    /// Kind of link of the first engine's interface.
    pub class: NetDevClass,
    /// Whether engines share receive contexts; `None` without engines.
    pub shared_receive: Option<bool>,
    /// `KEY=VALUE` lines for clients.
    pub env_vars: Vec<String>,
}

impl AttachHints {
    /// The hints of a server; those of its first engine hold for all.
    #[must_use]
    pub fn of(config: &ServerConfig, network: &Network) -> Self {
        let env_vars = config.client_env_vars.iter().map(ToString::to_string).collect();
        let Some(engine) = config.engines.first() else {
            return Self { env_vars, ..Self::default() };
        };
        let interface = network.interface(&engine.fabric.interface);
        Self {
            provider: engine.fabric.provider.clone(),
            crt_timeout_s: engine.fabric.crt_timeout_s.unwrap_or(0),
            class: interface.map(|interface| interface.class).unwrap_or_default(),
            shared_receive: Some(shares_receive_contexts(engine)),
            env_vars,
        }
    }
}

fn shares_receive_contexts(engine: &EngineConfig) -> bool {
    let explicit = engine.env_vars.iter().find(|variable| variable.name == USE_SRX);
    match explicit {
        Some(variable) => variable.value != "0",
        None => !engine.fabric.disable_srx,
    }
}
