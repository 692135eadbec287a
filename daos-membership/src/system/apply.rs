//! Applying commands. Every change is either applied whole or refused without any effect.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::events::Notes;
use super::{Index, System};
use crate::clock::Timestamp;
use crate::command::{Applied, Change, Command, StateUpdate};
use crate::error::ChangeRefused;
use crate::event::{Draft, EventKind, EventNote};
use crate::member::Member;
use crate::rank::{Rank, RankSet};
use crate::state::MemberState;

impl System {
    /// Applies a command. The result depends on nothing but the state and the command.
    ///
    /// A change that does not fit the state is refused and leaves no trace, not even in the versions; the
    /// changes after it are applied all the same.
    pub fn apply(&mut self, command: &Command) -> Applied {
        let mut effects = Effects::default();
        let changes = command.changes.iter();
        let outcomes =
            changes.map(|change| self.apply_one(change, command.at, &mut effects)).collect();
        let Effects { ranks, notes } = effects;
        self.record(notes, command.at, &command.by);
        Applied { outcomes, ranks, map_version: self.map_version, data_version: self.data_version }
    }

    fn apply_one(
        &mut self,
        change: &Change,
        at: Timestamp,
        effects: &mut Effects,
    ) -> Result<(), ChangeRefused> {
        let steps = change.map_steps();
        let data_version = self.data_version.checked_add(u64::from(steps.max(1)));
        let data_version = data_version.ok_or(ChangeRefused::VersionsUsedUp)?;
        let map_version = self.map_version.checked_add(steps);
        let map_version = map_version.ok_or(ChangeRefused::VersionsUsedUp)?;
        match change {
            Change::AdmitMember { member } => self.admit(member, effects)?,
            Change::RejoinMember { member } => {
                self.rejoin(member, member.uuid, effects)?;
            }
            Change::ReplaceMember { old_uuid, member } => {
                self.check_uuid_free(member.uuid)?;
                self.rejoin(member, *old_uuid, effects)?;
            }
            Change::ReleaseFabricUri { rank, state, info } => {
                self.edit(*rank, EventKind::Displaced, effects, |member| {
                    member.fabric_uri.clear();
                    member.state = *state;
                    member.info.clone_from(info);
                    member.last_update = at;
                })?;
            }
            Change::UpdateStates { updates } => self.update_states(updates, at, effects)?,
            Change::RemoveMember { rank, uuid } => self.remove(*rank, *uuid, effects)?,
            Change::BumpMapVersion => {}
            Change::HoldDeaths { deaths, reason } => {
                self.hold_deaths(deaths, at)?;
                self.note_deaths(
                    EventKind::DeathsHeld,
                    deaths.iter().map(|d| d.rank),
                    reason,
                    effects,
                );
            }
            Change::DropDeaths { ranks, reason } => {
                for rank in ranks.iter() {
                    self.deaths.forget(rank);
                }
                self.note_deaths(EventKind::DeathsDropped, ranks.iter(), reason, effects);
            }
            Change::RecordEvent { event } => effects.notes.draft(Draft::from(event)),
            setting => self.apply_setting(setting, effects),
        }
        self.data_version = data_version;
        self.map_version = map_version;
        Ok(())
    }

    /// Changes that concern no member and cannot be refused.
    fn apply_setting(&mut self, change: &Change, effects: &mut Effects) {
        let notes = &mut effects.notes;
        match change {
            Change::SetAttributes { values } => {
                notes.plain(EventKind::Attributes, listed(values));
                merge(&mut self.attributes, values);
            }
            Change::SetProperties { values } => {
                notes.plain(EventKind::Properties, listed(values));
                merge(&mut self.properties, values);
            }
            Change::SetFabricProviders { providers } => {
                notes.plain(
                    EventKind::Settings,
                    format!("fabric providers are {}", providers.join(",")),
                );
                self.management.fabric_providers = Some(providers.clone());
            }
            Change::PauseGroupUpdate { paused } => {
                let what = if *paused { "held back" } else { "sent again" };
                notes.plain(EventKind::Settings, format!("group map updates are {what}"));
                self.management.group_update_paused = *paused;
            }
            Change::SetDomainLabels { labels } => {
                // Labels that are all empty are the usual case, set by the first join.
                if labels.iter().any(|label| !label.is_empty()) {
                    notes.plain(
                        EventKind::Settings,
                        format!("fault domain labels are {}", labels.join("/")),
                    );
                }
                self.management.domain_labels = Some(labels.clone());
            }
            Change::SetWantedReplicas { addresses } => {
                let listed: Vec<_> = addresses.iter().map(ToString::to_string).collect();
                notes.plain(
                    EventKind::Settings,
                    format!("replicas are wanted at {}", listed.join(",")),
                );
                self.management.wanted_replicas.clone_from(addresses);
            }
            Change::LeaveOut { ranks, versions } => {
                notes.plain(
                    EventKind::Settings,
                    format!("{ranks} ranks and {versions} versions are left out after a recovery"),
                );
                let number = self.next_rank.and_then(|next| next.get().checked_add(*ranks));
                self.next_rank = number.and_then(Rank::new);
            }
            Change::SetCheckerEnabled { enabled } => {
                let what = if *enabled { "on" } else { "off" };
                notes.plain(EventKind::Settings, format!("checker mode is {what}"));
                self.management.checker_enabled = *enabled;
            }
            _ => {}
        }
    }

    fn note_deaths(
        &self,
        kind: EventKind,
        ranks: impl Iterator<Item = Rank>,
        reason: &str,
        effects: &mut Effects,
    ) {
        for member in ranks.filter_map(|rank| self.member(rank)) {
            effects.notes.of_member(kind, Some(member.state), member, reason.to_owned());
        }
    }

    fn admit(&mut self, member: &Arc<Member>, effects: &mut Effects) -> Result<(), ChangeRefused> {
        let (rank, uuid) = (member.rank, member.uuid);
        if self.members.contains_key(&rank) {
            return Err(ChangeRefused::RankTaken { rank });
        }
        if let Some(former) = self.retired(rank).filter(|former| *former != uuid) {
            return Err(ChangeRefused::RankRetired { rank, former });
        }
        self.check_uuid_free(uuid)?;
        self.check_uri_free(&member.fabric_uri, rank)?;
        self.retired.remove(&rank);
        self.put(Arc::clone(member), &mut effects.ranks);
        effects.notes.member(EventKind::Joined, None, member);
        while let Some(next) = self.next_rank.filter(|next| self.was_issued(*next)) {
            self.next_rank = next.next();
        }
        Ok(())
    }

    /// Puts a new value in place of the member with the same rank, which must have this uuid.
    fn rejoin(
        &mut self,
        member: &Arc<Member>,
        uuid: Uuid,
        effects: &mut Effects,
    ) -> Result<(), ChangeRefused> {
        let rank = member.rank;
        self.check_identity(rank, uuid)?;
        self.check_uri_free(&member.fabric_uri, rank)?;
        let from = self.member(rank).map(|member| member.state);
        self.put(Arc::clone(member), &mut effects.ranks);
        self.deaths.forget(rank);
        match member.uuid == uuid {
            true => effects.notes.member(EventKind::Rejoined, from, member),
            false => {
                let reason = format!("engine {} takes the place of {uuid}", member.uuid);
                effects.notes.of_member(EventKind::Replaced, from, member, reason);
            }
        }
        Ok(())
    }

    fn update_states(
        &mut self,
        updates: &[StateUpdate],
        at: Timestamp,
        effects: &mut Effects,
    ) -> Result<(), ChangeRefused> {
        if let Some(StateUpdate { rank, .. }) =
            updates.iter().find(|update| !self.members.contains_key(&update.rank))
        {
            return Err(ChangeRefused::NoSuchRank { rank: *rank });
        }
        for update in updates {
            let from = self.member(update.rank).map(|member| member.state);
            let kind = kind_of(from, update.state);
            self.edit(update.rank, kind, effects, |member| {
                member.state = update.state;
                member.info.clone_from(&update.info);
                member.last_update = at;
            })?;
            match kind {
                EventKind::Excluded if from != Some(update.state) => {
                    if let Some(host) = self.member(update.rank).map(|member| member.address) {
                        self.deaths.excluded(update.rank, host, at);
                    }
                }
                EventKind::AdminExcluded => self.deaths.forget(update.rank),
                _ => {}
            }
        }
        Ok(())
    }

    fn remove(
        &mut self,
        rank: Rank,
        uuid: Uuid,
        effects: &mut Effects,
    ) -> Result<(), ChangeRefused> {
        self.check_identity(rank, uuid)?;
        if let Some(member) = self.members.remove(&rank) {
            self.index.forget(&member);
            self.fault_domains.remove(&member.fault_domain, rank);
            self.retired.insert(rank, uuid);
            self.deaths.forget(rank);
            effects.ranks.insert(rank);
            effects.notes.member(EventKind::Removed, Some(member.state), &member);
        }
        Ok(())
    }

    /// Changes a member in place; a new state is noted as an event.
    fn edit(
        &mut self,
        rank: Rank,
        kind: EventKind,
        effects: &mut Effects,
        edit: impl FnOnce(&mut Member),
    ) -> Result<(), ChangeRefused> {
        let member = self.members.get_mut(&rank).ok_or(ChangeRefused::NoSuchRank { rank })?;
        self.index.forget(member);
        let from = member.state;
        edit(Arc::make_mut(member));
        self.index.learn(member);
        effects.ranks.insert(rank);
        if from != member.state || kind == EventKind::Displaced {
            effects.notes.member(kind, Some(from), member);
        }
        Ok(())
    }

    /// Stores a member under its rank, with everything that is derived from it.
    pub(super) fn put(&mut self, member: Arc<Member>, ranks: &mut RankSet) {
        let rank = member.rank;
        let old = self.members.insert(rank, Arc::clone(&member));
        if let Some(old) = &old {
            self.index.forget(old);
        }
        if old.as_ref().is_none_or(|old| old.fault_domain != member.fault_domain) {
            if let Some(old) = &old {
                self.fault_domains.remove(&old.fault_domain, rank);
            }
            self.fault_domains.insert(&member.fault_domain, rank);
        }
        self.index.learn(&member);
        ranks.insert(rank);
    }

    fn check_identity(&self, rank: Rank, asked: Uuid) -> Result<(), ChangeRefused> {
        let member = self.member(rank).ok_or(ChangeRefused::NoSuchRank { rank })?;
        match member.uuid {
            known if known == asked => Ok(()),
            known => Err(ChangeRefused::OtherUuid { rank, known, asked }),
        }
    }

    pub(super) fn check_uuid_free(&self, uuid: Uuid) -> Result<(), ChangeRefused> {
        match self.index.by_uuid.contains_key(&uuid) {
            true => Err(ChangeRefused::UuidTaken { uuid }),
            false => Ok(()),
        }
    }

    pub(super) fn check_uri_free(&self, uri: &str, rank: Rank) -> Result<(), ChangeRefused> {
        match self.index.by_uri.get(uri) {
            Some(holder) if *holder != rank => {
                Err(ChangeRefused::UriTaken { uri: uri.to_owned(), rank: *holder })
            }
            _ => Ok(()),
        }
    }
}

/// What the changes of one command have brought about so far.
#[derive(Debug, Default)]
struct Effects {
    /// The members that changed, came or went.
    ranks: RankSet,
    /// The events of it.
    notes: Notes,
}

/// What a change of state is called.
fn kind_of(from: Option<MemberState>, to: MemberState) -> EventKind {
    match (from, to) {
        (_, MemberState::AdminExcluded) => EventKind::AdminExcluded,
        (Some(MemberState::AdminExcluded), _) => EventKind::ExclusionCleared,
        (_, MemberState::Excluded) => EventKind::Excluded,
        _ => EventKind::State,
    }
}

impl From<&EventNote> for Draft {
    fn from(note: &EventNote) -> Self {
        let EventNote { kind, ranks, host, reason } = note.clone();
        Self { kind, ranks, host, from: None, to: None, reason }
    }
}

/// Names with their values, as they are shown.
fn listed(values: &BTreeMap<String, String>) -> String {
    let each = values.iter().map(|(key, value)| match value.is_empty() {
        true => format!("{key} removed"),
        false => format!("{key}={value}"),
    });
    each.collect::<Vec<_>>().join(", ")
}

impl Change {
    /// By how much the change raises the version of the group map (contract 6.2).
    fn map_steps(&self) -> u32 {
        match self {
            Self::AdmitMember { .. }
            | Self::RejoinMember { .. }
            | Self::ReplaceMember { .. }
            | Self::ReleaseFabricUri { .. }
            | Self::UpdateStates { .. }
            | Self::RemoveMember { .. }
            | Self::BumpMapVersion => 1,
            Self::LeaveOut { versions, .. } => *versions,
            Self::SetAttributes { .. }
            | Self::SetProperties { .. }
            | Self::SetFabricProviders { .. }
            | Self::PauseGroupUpdate { .. }
            | Self::SetDomainLabels { .. }
            | Self::SetWantedReplicas { .. }
            | Self::SetCheckerEnabled { .. }
            | Self::RecordEvent { .. }
            | Self::HoldDeaths { .. }
            | Self::DropDeaths { .. } => 0,
        }
    }
}

/// Takes over values; an empty one deletes.
fn merge(into: &mut BTreeMap<String, String>, values: &BTreeMap<String, String>) {
    for (key, value) in values {
        if value.is_empty() {
            into.remove(key);
        } else {
            into.insert(key.clone(), value.clone());
        }
    }
}

impl Index {
    fn learn(&mut self, member: &Member) {
        self.by_uuid.insert(member.uuid, member.rank);
        if !member.fabric_uri.is_empty() {
            self.by_uri.insert(member.fabric_uri.clone(), member.rank);
        }
        self.by_address.insert((member.address, member.rank));
        *self.by_state.entry(member.state).or_default() += 1;
    }

    fn forget(&mut self, member: &Member) {
        self.by_uuid.remove(&member.uuid);
        self.by_uri.remove(&member.fabric_uri);
        self.by_address.remove(&(member.address, member.rank));
        let left = self.count_after_leaving(member.state);
        if left == 0 {
            self.by_state.remove(&member.state);
        }
    }

    fn count_after_leaving(&mut self, state: MemberState) -> usize {
        let count = self.by_state.entry(state).or_default();
        *count = count.saturating_sub(1);
        *count
    }
}
