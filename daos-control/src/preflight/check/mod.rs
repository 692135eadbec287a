//! The rules themselves: facts and a configuration in, findings out. Pure; one file per subject.
//!
//! `for_start` is what every start refuses on; `check` is that and everything else. A rule that only protects a real engine is
//! an error with one, a notice with the emulated data plane, and a warning where nothing is known of what will run.

mod devices;
mod findings;
mod memory;
mod network;
mod nvme;
mod pages;
mod placement;
mod places;
mod software;
mod storage;

use std::net::Ipv4Addr;

pub(super) use findings::{Findings, Problem};

use super::device_names::apart;
use super::facts::{Facts, HostFacts};
use super::finding::Finding;
use super::keys::Asked;

/// What a start takes from its check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Chosen {
    /// Size for each RAM tier that is configured as 0, GiB.
    pub(super) ram_tier_gib: Option<u32>,
    /// Address of `control_iface`.
    pub(super) control_address: Option<Ipv4Addr>,
}

/// The rules that a start refuses on.
pub(super) fn for_start(findings: &mut Findings<'_>, facts: &HostFacts) -> Chosen {
    let control_address = network::control_interface(findings, facts);
    let ram_tier_gib = memory::ram_tiers(findings, facts);
    memory::transparent_hugepages(findings, facts);
    pages::count(findings, facts);
    nvme::iommu(findings, facts);
    nvme::modules(findings, facts);
    nvme::locked_memory(findings, facts);
    network::fabric(findings, facts);
    placement::engines(findings, facts);
    apart(findings, &facts.devices);
    Chosen { ram_tier_gib, control_address }
}

/// Every rule that can be applied to what is known.
#[must_use]
pub fn check(asked: Option<Asked<'_>>, facts: &Facts) -> Vec<Finding> {
    let mut findings = Findings::new(asked);
    let _chosen = for_start(&mut findings, &facts.host);
    pages::of_nodes(&mut findings, &facts.host, &facts.nodes);
    devices::controllers(&mut findings, facts);
    devices::persistent_memory(&mut findings, facts);
    storage::configured(&mut findings, facts);
    devices::access(&mut findings, facts);
    devices::nodes(&mut findings, facts);
    software::modules(&mut findings, facts);
    software::engine_program(&mut findings, facts);
    software::tools(&mut findings, facts);
    places::directories(&mut findings, &facts.host, &facts.places);
    places::room(&mut findings, &facts.places);
    places::clock(&mut findings, &facts.clock);
    places::ports(&mut findings, &facts.ports);
    findings.into_list()
}
