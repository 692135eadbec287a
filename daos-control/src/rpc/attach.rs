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

#[cfg(test)]
mod tests {
    use super::AttachHints;
    use crate::config::{CommandLine, ServerConfig, Surroundings, parse};
    use crate::network::{Interface, NetDevClass, Network};

    fn config(engine: &str) -> ServerConfig {
        let text = format!(
            "data_plane: emulated\nprovider: ofi+tcp\ncrt_timeout: 30\nclient_env_vars: [\"A=b\", \"C=d\"]\n\
             transport_config: {{allow_insecure: true}}\nengines:\n- targets: 1\n  fabric_iface: ib0\n  \
             fabric_iface_port: 31416\n  storage:\n  - {{class: ram, scm_mount: /mnt/d, scm_size: 1}}\n{engine}"
        );
        let surroundings = Surroundings {
            current_dir: "/".into(),
            executable: "/usr/bin/daos_server".into(),
            default_state_dir: "/nonexistent".into(),
        };
        let command_line = CommandLine::default();
        parse(text.as_bytes(), "/t.yml".into(), &command_line, &surroundings).expect("valid").config
    }

    fn hints(engine: &str) -> AttachHints {
        let interface = Interface {
            name: "ib0".into(),
            class: NetDevClass::INFINIBAND,
            numa_node: 0,
            up: true,
            addresses: Vec::new(),
            rdma_device: None,
        };
        let network = Network { interfaces: vec![interface], numa_nodes: 1, cores_per_numa: 1 };
        AttachHints::of(&config(engine), &network)
    }

    #[test]
    fn clients_get_the_settings_of_the_first_engine() {
        let hints = hints("");
        assert_eq!((hints.provider.as_str(), hints.crt_timeout_s), ("ofi+tcp", 30));
        assert_eq!((hints.class, hints.shared_receive), (NetDevClass::INFINIBAND, Some(true)));
        assert_eq!(hints.env_vars, ["A=b", "C=d"]);
    }

    #[test]
    fn an_explicit_variable_outranks_disable_srx() {
        assert_eq!(hints("  disable_srx: true\n").shared_receive, Some(false));
        let both = "  disable_srx: true\n  env_vars: [\"FI_OFI_RXM_USE_SRX=1\"]\n";
        assert_eq!(hints(both).shared_receive, Some(true));
        assert_eq!(hints("  env_vars: [\"FI_OFI_RXM_USE_SRX=0\"]\n").shared_receive, Some(false));
    }
}
