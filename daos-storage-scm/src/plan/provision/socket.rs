//! The state of one socket, from its regions and goals (R133, with the states of 2.8).

use crate::model::{
    GoalSupport, Labels, NamespacesPerSocket, PmemFacts, RegionFacts, RegionHealth, RegionKind,
    SocketState,
};

/// Persistent regions of a socket; ordinary memory is none (Memory Mode shows as such a region).
pub(super) fn regions_of(facts: &PmemFacts, socket: u32) -> Vec<&RegionFacts> {
    let own = facts.regions.iter().filter(|each| each.region.socket == socket);
    own.filter(|each| each.region.kind != RegionKind::Volatile).collect()
}

/// State of one socket, as far as namespaces per region are wanted. Problems come before everything else: nothing
/// is built on a region that is broken.
#[must_use]
pub fn socket_state(facts: &PmemFacts, socket: u32, wanted: NamespacesPerSocket) -> SocketState {
    let regions = regions_of(facts, socket);
    let goes = |goal: &&crate::model::PendingGoal| goal.socket == socket && goal.refused.is_none();
    if facts.pending.iter().any(|goal| goes(&goal)) {
        return SocketState::GoalPending;
    }
    if regions.is_empty() {
        return SocketState::NoRegions;
    }
    let vendor = matches!(facts.goals, GoalSupport::Vendor { .. });
    for each in &regions {
        let name = each.shown();
        match each.region.kind {
            RegionKind::Unknown => return SocketState::UnknownMode(name),
            RegionKind::AppDirectNotInterleaved if vendor => return SocketState::NotInterleaved,
            _ => {}
        }
        match each.region.health {
            RegionHealth::Error => return SocketState::NotHealthy(format!("{name} has an error")),
            RegionHealth::Locked => return SocketState::NotHealthy(format!("{name} is locked")),
            RegionHealth::Unknown if vendor => {
                return SocketState::NotHealthy(format!("health of {name} is unknown"));
            }
            _ => {}
        }
    }
    // Goals make one interleaved region of a socket; several are something else.
    if vendor && regions.len() > 1 {
        return SocketState::NotInterleaved;
    }
    if let Some(hidden) = regions.iter().find(|each| each.name.is_none()) {
        return SocketState::UnknownMode(format!("the kernel does not show {}", hidden.shown()));
    }
    if regions.iter().any(|each| each.labels == Labels::Missing) {
        return SocketState::LabelsMissing;
    }
    capacity_state(&regions, usize::from(wanted.get()))
}

fn capacity_state(regions: &[&RegionFacts], wanted: usize) -> SocketState {
    let free: Vec<&&RegionFacts> = regions.iter().filter(|each| has_room(each)).collect();
    if free.is_empty() {
        return SocketState::NoCapacity;
    }
    match free.iter().find(|each| each.namespaces.len() >= wanted) {
        Some(region) => SocketState::PartialFreeCapacity(format!(
            "{} has {} namespaces and {} bytes left",
            region.shown(),
            region.namespaces.len(),
            region.region.free_capacity
        )),
        None => SocketState::FreeCapacity,
    }
}

/// Whether a namespace fits that is worth one: what rounding down leaves over does not count.
pub(super) fn has_room(region: &RegionFacts) -> bool {
    const LEAST: u64 = 16 << 20;
    let leftovers = region.align.saturating_mul(4);
    region.region.free_capacity >= LEAST
        && (region.is_empty() || region.region.free_capacity >= leftovers)
}
