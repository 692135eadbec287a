//! One provider for the whole system, then a configuration for each group of hosts that are alike. Pure.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::engine::{EngineProposal, Fabric, HostPlan, counted, is_wanted, plan};
use super::error::GenerateError;
use super::facts::HostFacts;
use super::options::Options;
use super::yaml::{HostConfig, SystemKeys};

/// A proposal for all hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// One configuration for each group of hosts that are alike, in the order of the hosts.
    pub configs: Vec<HostConfig>,
    /// What was decided and why, what was left out.
    pub notes: Vec<Note>,
    /// Hosts that get no configuration.
    pub refused: Vec<Refusal>,
}

/// Something an administrator should know about hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The hosts; empty means all.
    pub hosts: Vec<String>,
    /// What.
    pub text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hosts.is_empty() {
            true => f.write_str(&self.text),
            false => write!(f, "{}: {}", self.hosts.join(","), self.text),
        }
    }
}

/// Why a host gets no configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The host.
    pub host: String,
    /// Why.
    pub reasons: Vec<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.host, self.reasons.join(", "))
    }
}

/// Proposes configurations for `hosts`, which come in the order in which they are to be named. The same facts give the same proposal.
///
/// # Errors
/// [`GenerateError`] when the options contradict each other, or no host can have an engine.
pub fn propose(hosts: &[HostFacts], options: &Options) -> Result<Proposal, GenerateError> {
    options.check()?;
    let fabric = fabric(hosts, options)?;
    let mut planned: Vec<(&HostFacts, HostPlan)> =
        hosts.iter().map(|host| (host, plan(host, fabric, options))).collect();
    let mut notes = vec![Note { hosts: Vec::new(), text: format!("provider {}", fabric.provider) }];
    notes.extend(same_streams(&mut planned));
    let (with, without): (Vec<_>, Vec<_>) =
        planned.into_iter().partition(|(_, plan)| !plan.engines.is_empty());
    let refused: Vec<Refusal> = without
        .into_iter()
        .map(|(host, plan)| Refusal { host: host.name.clone(), reasons: plan.lacks })
        .collect();
    if with.is_empty() {
        return Err(GenerateError::NoEngine { reasons: refused });
    }
    let system = system_keys(&with, fabric, options, &mut notes);
    notes.extend(host_notes(&with));
    let configs = groups(with, &system);
    if configs.len() > 1 {
        let text = format!(
            "the hosts differ and need {} configurations: {}",
            configs.len(),
            configs.iter().map(summary).collect::<Vec<_>>().join("; ")
        );
        notes.push(Note { hosts: Vec::new(), text });
    }
    Ok(Proposal { configs, notes, refused })
}

/// The provider and kind of interface that give the most hosts engines, then the most engines; of equals the better one.
fn fabric<'a>(hosts: &'a [HostFacts], options: &Options) -> Result<Fabric<'a>, GenerateError> {
    let mut candidates: BTreeMap<Fabric<'a>, u32> = BTreeMap::new();
    let ports = || hosts.iter().flat_map(|host| &host.ports);
    for port in ports().filter(|port| is_wanted(port, options)) {
        let fabric = Fabric { provider: &port.provider, class: port.class };
        let priority = candidates.entry(fabric).or_insert(port.priority);
        *priority = port.priority.min(*priority);
    }
    let best = candidates.into_iter().max_by_key(|(fabric, priority)| {
        let engines = hosts.iter().map(|host| plan(host, *fabric, options).engines.len());
        let engines: Vec<usize> = engines.filter(|engines| *engines > 0).collect();
        (engines.len(), engines.iter().sum::<usize>(), Reverse(*priority), Reverse(*fabric))
    });
    best.map(|(fabric, _)| fabric).ok_or_else(|| {
        let found: BTreeSet<String> =
            ports().map(|port| format!("{} on {}", port.provider, port.interface)).collect();
        GenerateError::NoInterface {
            wanted: wanted(options),
            found: match found.is_empty() {
                true => "none at all".to_owned(),
                false => found.into_iter().collect::<Vec<_>>().join(", "),
            },
        }
    })
}

fn wanted(options: &Options) -> String {
    let mut words = Vec::new();
    words.extend(options.net_class.map(|class| format!("of kind {class:?}")));
    words.extend(options.provider.as_ref().map(|provider| format!("for {provider}")));
    if !options.interfaces.is_empty() {
        words.push(format!("named {}", options.interfaces.join(" or ")));
    }
    if words.is_empty() { "that works".to_owned() } else { words.join(" ") }
}

/// Every engine of a system has the same number of targets and helpers: the least that any can have.
fn same_streams(planned: &mut [(&HostFacts, HostPlan)]) -> Option<Note> {
    let engines = || planned.iter().flat_map(|(_, plan)| &plan.engines);
    let targets = engines().map(|engine| engine.targets).min()?;
    let helpers = engines().map(|engine| engine.helpers).min()?;
    let lowered: Vec<String> = planned
        .iter()
        .filter(|(_, plan)| plan.engines.iter().any(|engine| engine.targets > targets))
        .map(|(host, _)| host.name.clone())
        .collect();
    for engine in planned.iter_mut().flat_map(|(_, plan)| &mut plan.engines) {
        (engine.targets, engine.helpers) = (targets, helpers);
    }
    let text = format!("{targets} targets for each engine, as where there is room for the fewest");
    (!lowered.is_empty()).then_some(Note { hosts: lowered, text })
}

fn system_keys(
    with: &[(&HostFacts, HostPlan)],
    fabric: Fabric<'_>,
    options: &Options,
    notes: &mut Vec<Note>,
) -> SystemKeys {
    let mut replicas = options.replicas.clone();
    if replicas.is_empty() {
        let number = if with.len() >= 3 { 3 } else { 1 };
        replicas.extend(with.iter().take(number).map(|(host, _)| host.name.clone()));
        let text = match number {
            1 => format!(
                "the management service runs on {} alone; three hosts survive the loss of one (--ms-replicas)",
                replicas.join(",")
            ),
            _ => format!("the management service runs on {}", replicas.join(",")),
        };
        notes.push(Note { hosts: Vec::new(), text });
    }
    SystemKeys {
        name: options.system.clone(),
        port: options.port,
        insecure: options.insecure,
        replicas,
        provider: fabric.provider.to_owned(),
        control_metadata: options.control_metadata.clone(),
    }
}

/// Notes of hosts, those that are alike together.
fn host_notes(with: &[(&HostFacts, HostPlan)]) -> Vec<Note> {
    let mut notes: Vec<Note> = Vec::new();
    for (host, plan) in with {
        for text in &plan.notes {
            match notes.iter_mut().find(|note| note.text == *text) {
                Some(note) => note.hosts.push(host.name.clone()),
                None => notes.push(Note { hosts: vec![host.name.clone()], text: text.clone() }),
            }
        }
    }
    notes
}

fn groups(with: Vec<(&HostFacts, HostPlan)>, system: &SystemKeys) -> Vec<HostConfig> {
    let mut configs: Vec<HostConfig> = Vec::new();
    for (host, plan) in with {
        let port = port_of(&host.name).unwrap_or(system.port);
        let same =
            |config: &&mut HostConfig| config.system.port == port && config.engines == plan.engines;
        match configs.iter_mut().find(same) {
            Some(config) => config.hosts.push(host.name.clone()),
            None => configs.push(HostConfig {
                hosts: vec![host.name.clone()],
                system: at_port(system, port),
                engines: plan.engines,
            }),
        }
    }
    configs
}

fn summary(config: &HostConfig) -> String {
    let engine = |engine: &EngineProposal| {
        format!("{} at NUMA node {}", counted(engine.ssds().count(), "SSD"), engine.node)
    };
    format!(
        "{} with {} ({})",
        config.hosts.join(","),
        counted(config.engines.len(), "engine"),
        config.engines.iter().map(engine).collect::<Vec<_>>().join(", ")
    )
}

/// The port in a name: that by which a server was asked is the one it listens on.
fn port_of(name: &str) -> Option<u16> {
    name.split_once(':')?.1.parse().ok()
}

/// The same system in the file of a server on this port: a replica without a port would be taken to be on that one too.
fn at_port(system: &SystemKeys, port: u16) -> SystemKeys {
    let replica = |name: &String| match port_of(name) {
        None if port != system.port => format!("{name}:{}", system.port),
        _ => name.clone(),
    };
    let replicas = system.replicas.iter().map(replica).collect();
    SystemKeys { port, replicas, ..system.clone() }
}
