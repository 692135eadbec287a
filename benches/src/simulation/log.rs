//! The committed log as replicas show it, and what must be true of it and of the system that it makes.
//!
//! Fed by `world` with what each replica has applied. A second system, built here from the log alone, says what
//! every replica's must be.

use std::collections::{BTreeMap, BTreeSet};

use daos_membership::{
    Change, Command, DecodeError, EntryContent, Incarnation, LogEntry, Member, Rank, System,
    SystemIdentity, invariants,
};
use uuid::Uuid;

use super::disk::ReplicaDisk;
use super::network::HostId;
use super::record::Record;

/// Members beyond which not every command is followed by a look at all of them.
const FEW: usize = 64;
/// Then one command of so many is.
const SELDOM: usize = 100;

/// The committed log and the system it makes.
#[derive(Debug)]
pub struct CommittedLog {
    entries: Vec<LogEntry>,
    system: System,
    /// Up to where each host's log was compared.
    compared: BTreeMap<HostId, u64>,
    owners: BTreeMap<Rank, Uuid>,
    joined: BTreeSet<(Uuid, Rank, Incarnation)>,
}

impl CommittedLog {
    /// An empty one.
    #[must_use]
    pub fn new(identity: SystemIdentity) -> Self {
        Self {
            entries: Vec::new(),
            system: System::new(identity),
            compared: BTreeMap::new(),
            owners: BTreeMap::new(),
            joined: BTreeSet::new(),
        }
    }

    /// The system that the log makes.
    #[must_use]
    pub fn system(&self) -> &System {
        &self.system
    }

    /// How many entries are committed.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries.len()
    }

    /// A host's disk was replaced: its log is compared from the beginning.
    pub fn forget(&mut self, host: HostId) {
        self.compared.remove(&host);
    }

    /// Looks through the whole log of a host again: what was committed must not have changed since.
    pub fn compare_again(&mut self, host: HostId, disk: &ReplicaDisk, record: &Record) {
        let upto = self.compared.remove(&host).unwrap_or(0);
        self.applied(host, disk, upto, record);
    }

    /// Rule: the committed prefix is the same on all replicas. A host has applied its log up to here.
    pub fn applied(&mut self, host: HostId, disk: &ReplicaDisk, upto: u64, record: &Record) {
        let from = self.compared.get(&host).copied().unwrap_or(0) + 1;
        for index in from..=upto {
            let known = self.entries.get(index as usize - 1);
            match (disk.written(index), known) {
                (Some(entry), Some(known)) if entry != *known => {
                    let (this, that) = (entry.id.term, known.id.term);
                    return record.broke(format!(
                        "entry {index} of host {host} (term {this}) is not the committed one (term {that})"
                    ));
                }
                // Received as a part of a snapshot, whose content is compared in the end.
                (None, Some(_)) | (Some(_), Some(_)) => {}
                (Some(entry), None) => self.commit(entry, record),
                (None, None) => return,
            }
            self.compared.insert(host, index);
        }
    }

    fn commit(&mut self, entry: LogEntry, record: &Record) {
        let index = entry.id.index;
        record.note(format_args!(
            "committed {index} of term {} ({} bytes)",
            entry.id.term,
            entry.payload.len()
        ));
        if self.entries.last().is_some_and(|last| last.id.term > entry.id.term) {
            record.broke(format!("entry {index} has an earlier term than the one before"));
        }
        match command(&entry.payload) {
            Ok(Some(command)) => self.apply(&command, record),
            Ok(None) => {}
            Err(error) => record.broke(format!("entry {index} is unreadable: {error}")),
        }
        self.entries.push(entry);
    }

    fn apply(&mut self, command: &Command, record: &Record) {
        let looked_at =
            self.system.member_count() <= FEW || self.entries.len().is_multiple_of(SELDOM);
        let before = looked_at.then(|| self.system.clone());
        let applied = self.system.apply(command);
        if let Some(before) = before {
            let step = invariants::check_step(&before, command, &self.system);
            if let Err(violation) = step.and_then(|()| invariants::check(&self.system)) {
                record.broke(violation.to_string());
            }
        }
        for (change, outcome) in command.changes.iter().zip(&applied.outcomes) {
            if outcome.is_ok() {
                self.changed(change, record);
            }
        }
    }

    fn changed(&mut self, change: &Change, record: &Record) {
        match change {
            Change::AdmitMember { member } => {
                let owner = *self.owners.entry(member.rank).or_insert(member.uuid);
                if owner != member.uuid {
                    record.broke(format!(
                        "rank {} was given to {owner} and {}",
                        member.rank, member.uuid
                    ));
                }
                self.entered(member, record);
            }
            Change::RejoinMember { member } => {
                if self.owners.get(&member.rank) != Some(&member.uuid) {
                    record.broke(format!(
                        "rank {} changed its uuid without a replacement",
                        member.rank
                    ));
                }
                self.entered(member, record);
            }
            Change::ReplaceMember { old_uuid, member } => {
                if self.owners.insert(member.rank, member.uuid) != Some(*old_uuid) {
                    record.broke(format!("rank {} was not that of {old_uuid}", member.rank));
                }
                self.entered(member, record);
            }
            Change::SetAttributes { values } => {
                for (key, value) in values {
                    if let Err(rule) = record.writes(|writes| writes.commit(key, value)) {
                        record.broke(rule);
                    }
                }
            }
            _ => {}
        }
    }

    /// Rule: nothing is a member that did not ask.
    fn entered(&mut self, member: &Member, record: &Record) {
        self.joined.insert((member.uuid, member.rank, member.incarnation));
        if !record.has_asked(member.uuid, member.incarnation) {
            let (rank, incarnation) = (member.rank, member.incarnation.0);
            record.broke(format!("rank {rank} joined in incarnation {incarnation} without asking"));
        }
    }

    /// Rules: no acknowledged join or write is lost or reordered, no read is stale.
    pub fn judge(&self, record: &Record) {
        for join in record.take_joins() {
            if !self.joined.contains(&(join.uuid, join.rank, join.incarnation)) {
                record.broke(format!("the join of {} as rank {} is lost", join.uuid, join.rank));
            }
        }
        if let Err(rule) = record.writes(|writes| writes.judge()) {
            record.broke(rule);
        }
    }
}

/// The command in an entry, if there is one.
fn command(payload: &[u8]) -> Result<Option<Command>, DecodeError> {
    match EntryContent::decode(payload.to_vec())? {
        EntryContent::Command(bytes) => Command::decode(&bytes).map(Some),
        EntryContent::Replicas(_) | EntryContent::Blank => Ok(None),
    }
}
