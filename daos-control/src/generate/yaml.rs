//! The text of a proposal: a configuration file with a word on each engine. Pure.

use std::fmt::Write as _;

use super::engine::{EngineProposal, ScmProposal};

/// Keys that all hosts of a system have alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SystemKeys {
    pub name: String,
    pub port: u16,
    pub insecure: bool,
    pub replicas: Vec<String>,
    pub provider: String,
    pub control_metadata: Option<String>,
}

/// The configuration of hosts that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostConfig {
    /// The hosts it is for.
    pub hosts: Vec<String>,
    pub(super) system: SystemKeys,
    /// Engines, by NUMA node.
    pub engines: Vec<EngineProposal>,
}

impl HostConfig {
    /// The configuration file.
    #[must_use]
    pub fn yaml(&self) -> String {
        let keys = &self.system;
        let mut text = String::new();
        let mut line = |words: String| {
            text.push_str(&words);
            text.push('\n');
        };
        line(format!("# For {}.", self.hosts.join(", ")));
        line(format!("name: {}", quoted(&keys.name)));
        line(format!("port: {}", keys.port));
        line(format!("mgmt_svc_replicas: {}", list(&keys.replicas)));
        if keys.insecure {
            line("transport_config:\n  allow_insecure: true".to_owned());
        }
        line(format!("provider: {}", quoted(&keys.provider)));
        if let Some(path) = &keys.control_metadata {
            line(format!("control_metadata:\n  path: {}", quoted(path)));
        }
        line("engines:".to_owned());
        for (index, engine) in (0..).zip(&self.engines) {
            write_engine(&mut text, index, engine);
        }
        text
    }
}

/// Where the SCM of an engine is mounted.
pub(super) fn scm_mount(index: u32) -> String {
    format!("/mnt/daos{index}")
}

fn write_engine(text: &mut String, index: u32, engine: &EngineProposal) {
    let EngineProposal { node, interface, port, targets, helpers, scm, tiers } = engine;
    let class = match scm {
        ScmProposal::Ram => "ram",
        ScmProposal::Pmem(_) => "dcpm",
    };
    // Writing to a String cannot fail.
    let _infallible = write!(
        text,
        "- pinned_numa_node: {node}\n  targets: {targets}\n  nr_xs_helpers: {helpers}\n  \
         fabric_iface: {}\n  fabric_iface_port: {port}\n  storage:\n  - class: {class}\n    \
         scm_mount: {}\n",
        quoted(interface),
        scm_mount(index)
    );
    if let ScmProposal::Pmem(device) = scm {
        let _infallible = writeln!(text, "    scm_list: {}", list(std::slice::from_ref(device)));
    }
    for tier in tiers {
        let _infallible = writeln!(text, "  - class: nvme\n    bdev_list: {}", list(&tier.ssds));
        if !tier.roles.is_empty() {
            let _infallible = writeln!(text, "    bdev_roles: [{}]", tier.roles.join(", "));
        }
    }
}

fn list(entries: &[String]) -> String {
    format!("[{}]", entries.iter().map(|entry| quoted(entry)).collect::<Vec<_>>().join(", "))
}

/// A JSON string is a YAML string, whatever is in it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
