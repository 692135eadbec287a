//! The rules of one batch of joins.

use std::collections::BTreeSet;
use std::sync::Arc;

use uuid::Uuid;

use super::{Acceptance, JoinOutcome, JoinPurpose, JoinRequest, Verdict, replaced};
use crate::clock::Timestamp;
use crate::command::Change;
use crate::error::JoinRefused;
use crate::member::Member;
use crate::rank::{Rank, RankSet};
use crate::state::MemberState;
use crate::system::System;

/// What the earlier requests of a batch have laid their hands on.
#[derive(Default)]
struct Taken {
    uuids: BTreeSet<Uuid>,
    ranks: RankSet,
    uris: BTreeSet<String>,
    /// The last rank given to an engine that asked for none.
    last_rank: Option<Rank>,
    /// Set by the first join of all.
    labels: Option<Vec<String>>,
    /// Number of levels of the fault domain of any engine admitted in this batch.
    levels: Option<usize>,
}

/// A batch while it is decided.
pub(super) struct Batch<'a> {
    system: &'a System,
    at: Timestamp,
    taken: Taken,
}

impl<'a> Batch<'a> {
    pub(super) fn new(system: &'a System, at: Timestamp) -> Self {
        Self { system, at, taken: Taken::default() }
    }

    pub(super) fn decide(&mut self, request: &JoinRequest) -> Verdict {
        if self.overlaps(request) {
            return Verdict::Later;
        }
        match self.accept(request) {
            Ok(Some(acceptance)) => {
                self.remember(&acceptance, request);
                Verdict::Accepted(acceptance)
            }
            Ok(None) => Verdict::NotYet,
            Err(refused) => Verdict::Refused(refused),
        }
    }

    /// Whether an earlier request of the batch has to do with the same engine, rank or URI.
    fn overlaps(&self, request: &JoinRequest) -> bool {
        let known = self.system.member_by_uuid(request.uuid).map(|member| member.rank);
        let ranks = [request.rank, known, request.bootstrap.then_some(Rank::BOOTSTRAP)];
        self.taken.uuids.contains(&request.uuid)
            || self.taken.uris.contains(&request.fabric_uri)
            || ranks.into_iter().flatten().any(|rank| self.taken.ranks.contains(rank))
    }

    fn accept(&self, request: &JoinRequest) -> Result<Option<Acceptance>, JoinRefused> {
        let labels = self.check_labels(request)?;
        if !self.check_provider(request)? {
            return Ok(None);
        }
        let mut acceptance = match request.purpose {
            JoinPurpose::Replace { enabled_in_pool } => self.replace(request, enabled_in_pool)?,
            JoinPurpose::Join => match self.known_member(request) {
                Some(known) => self.rejoin(request, known)?,
                None => self.admit(request)?,
            },
        };
        acceptance.changes.splice(0..0, labels);
        Ok(Some(acceptance))
    }

    fn known_member(&self, request: &JoinRequest) -> Option<&Arc<Member>> {
        let by_rank = request.rank.and_then(|rank| self.system.member(rank));
        by_rank.or_else(|| self.system.member_by_uuid(request.uuid))
    }

    /// Labels are set by the first join of all and must be the same ever after (fault 620).
    fn check_labels(&self, request: &JoinRequest) -> Result<Option<Change>, JoinRefused> {
        let labels = request.fault_domain.labels();
        let stored = self.system.management().domain_labels.as_ref();
        match stored.or(self.taken.labels.as_ref()) {
            None => Ok(Some(Change::SetDomainLabels { labels })),
            Some(expected) if *expected == labels => Ok(None),
            Some(expected) => Err(JoinRefused::WrongLabels {
                domain: request.fault_domain.to_string(),
                labels: expected.join(", "),
            }),
        }
    }

    /// Whether the provider is the system's; `false` while the system's is not known.
    fn check_provider(&self, request: &JoinRequest) -> Result<bool, JoinRefused> {
        let (uuid, uri) = (request.uuid, &request.fabric_uri);
        let asked = match uri.split_once("://") {
            Some((provider, address)) if !provider.is_empty() && !address.is_empty() => provider,
            _ => return Err(JoinRefused::NoFabricUri { uuid, uri: uri.clone() }),
        };
        let providers = self.system.management().fabric_providers.as_deref();
        match providers.and_then(<[String]>::first) {
            None => Ok(false),
            Some(used) if used == asked => Ok(true),
            Some(used) => Err(JoinRefused::WrongProvider {
                uuid,
                asked: asked.to_owned(),
                used: used.clone(),
            }),
        }
    }

    /// All fault domains have the same number of levels (fault 401).
    fn check_depth(&self, request: &JoinRequest, rank: Option<Rank>) -> Result<(), JoinRefused> {
        let levels = request.fault_domain.levels().len();
        let other = self.system.member_other_than(rank);
        let expected = other.map(|member| member.fault_domain.levels().len()).or(self.taken.levels);
        match expected {
            Some(expected) if expected != levels => Err(JoinRefused::WrongDepth {
                domain: request.fault_domain.to_string(),
                levels,
                expected,
            }),
            _ => Ok(()),
        }
    }

    fn admit(&self, request: &JoinRequest) -> Result<Acceptance, JoinRefused> {
        self.check_depth(request, None)?;
        let rank = self.new_rank(request)?;
        let mut changes: Vec<Change> = self.release_uri(request, rank)?.into_iter().collect();
        // Contract 6.4: a new member is joined even when it runs in checker mode.
        let member = self.member(request, rank, MemberState::Joined);
        changes.push(Change::AdmitMember { member });
        Ok(Acceptance { rank, outcome: JoinOutcome::Admitted, changes })
    }

    fn new_rank(&self, request: &JoinRequest) -> Result<Rank, JoinRefused> {
        let uuid = request.uuid;
        let kept = request.bootstrap && !self.system.was_issued(Rank::BOOTSTRAP);
        match request.rank.or(kept.then_some(Rank::BOOTSTRAP)) {
            Some(rank) => match self.system.retired(rank) {
                Some(former) if former != uuid => {
                    Err(JoinRefused::RankRetired { rank, former, uuid })
                }
                None if rank == Rank::BOOTSTRAP && !request.bootstrap => {
                    Err(JoinRefused::RankReserved { uuid })
                }
                _ => Ok(rank),
            },
            None => self.next_free_rank().ok_or(JoinRefused::NoRankLeft { uuid }),
        }
    }

    fn next_free_rank(&self) -> Option<Rank> {
        let given = |rank: Rank| self.system.was_issued(rank) || self.taken.ranks.contains(rank);
        let first = self.system.next_rank()?.max(self.taken.last_rank.unwrap_or(Rank::BOOTSTRAP));
        std::iter::successors(Some(first), |rank| rank.next()).find(|rank| !given(*rank))
    }

    fn rejoin(&self, request: &JoinRequest, known: &Member) -> Result<Acceptance, JoinRefused> {
        let (rank, uuid) = (known.rank, known.uuid);
        self.check_depth(request, Some(rank))?;
        if known.state == MemberState::AdminExcluded {
            return Err(JoinRefused::AdminExcluded { uuid, rank });
        }
        if let Some(asked) = request.rank.filter(|asked| *asked != rank) {
            return Err(JoinRefused::RankChanged { uuid, known: rank, asked });
        }
        if request.uuid != uuid {
            return Err(JoinRefused::UuidChanged { rank, known: uuid, asked: request.uuid });
        }
        if known.address != request.address && !has_moved(request, known) {
            let (known, asked) = (known.address, request.address);
            return Err(JoinRefused::AddressChanged { uuid, rank, known, asked });
        }
        let mut changes: Vec<Change> = self.release_uri(request, rank)?.into_iter().collect();
        let state =
            if request.check_mode { MemberState::CheckerStarted } else { MemberState::Joined };
        changes.push(Change::RejoinMember { member: self.member(request, rank, state) });
        Ok(Acceptance { rank, outcome: JoinOutcome::Rejoined, changes })
    }

    fn replace(
        &self,
        request: &JoinRequest,
        enabled_in_pool: bool,
    ) -> Result<Acceptance, JoinRefused> {
        let old = replaced(self.system, request)?;
        let rank = old.rank;
        if self.system.member_by_uuid(request.uuid).is_some() {
            return Err(JoinRefused::AlreadyMember { uuid: request.uuid });
        }
        if enabled_in_pool {
            return Err(JoinRefused::ReplacedRankInPool { rank });
        }
        // The new engine's own incarnation is recorded, so that late news of the old one's death do not
        // hit the new one.
        let member = self.member(request, rank, MemberState::Joined);
        let changes = vec![Change::ReplaceMember { old_uuid: old.uuid, member }];
        Ok(Acceptance { rank, outcome: JoinOutcome::Replaced(old.uuid), changes })
    }

    /// Takes the URI away from a member that cannot be there any more, since this engine is there now. A member
    /// on another host that is up keeps it, and the engine is refused.
    fn release_uri(
        &self,
        request: &JoinRequest,
        rank: Rank,
    ) -> Result<Option<Change>, JoinRefused> {
        let holder = self.system.member_by_uri(&request.fabric_uri);
        let Some(holder) = holder.filter(|holder| holder.rank != rank) else {
            return Ok(None);
        };
        if holder.is_available() && holder.address != request.address {
            return Err(JoinRefused::UriInUse {
                uuid: request.uuid,
                uri: request.fabric_uri.clone(),
                holder: holder.uuid,
                rank: holder.rank,
                state: holder.state,
            });
        }
        let state = if holder.is_available() { MemberState::Unresponsive } else { holder.state };
        let info = format!("fabric URI {} is now that of rank {rank}", request.fabric_uri);
        Ok(Some(Change::ReleaseFabricUri { rank: holder.rank, state, info }))
    }

    fn member(&self, request: &JoinRequest, rank: Rank, state: MemberState) -> Arc<Member> {
        Arc::new(Member {
            rank,
            incarnation: request.incarnation,
            uuid: request.uuid,
            address: request.address,
            fabric_uri: request.fabric_uri.clone(),
            secondary_fabric_uris: request.secondary_fabric_uris.clone(),
            fabric_contexts: request.fabric_contexts,
            secondary_fabric_contexts: request.secondary_fabric_contexts.clone(),
            state,
            info: String::new(),
            fault_domain: request.fault_domain.clone(),
            last_update: self.at,
        })
    }

    fn remember(&mut self, acceptance: &Acceptance, request: &JoinRequest) {
        self.taken.levels = Some(request.fault_domain.levels().len());
        if request.rank.is_none() && acceptance.outcome == JoinOutcome::Admitted {
            self.taken.last_rank = Some(acceptance.rank);
        }
        for change in &acceptance.changes {
            match change {
                Change::SetDomainLabels { labels } => self.taken.labels = Some(labels.clone()),
                Change::ReleaseFabricUri { rank, .. } => self.take(*rank),
                _ => {}
            }
        }
        self.take(acceptance.rank);
        self.taken.uuids.insert(request.uuid);
        self.taken.uris.insert(request.fabric_uri.clone());
    }

    /// Marks a rank and, if it is a member's, that member's uuid and URI.
    fn take(&mut self, rank: Rank) {
        self.taken.ranks.insert(rank);
        if let Some(member) = self.system.member(rank) {
            self.taken.uuids.insert(member.uuid);
            self.taken.uris.insert(member.fabric_uri.clone());
        }
    }
}

/// Whether a known engine may join from another host: it names its rank, it was started anew, and somebody
/// made sure that the former host does not run it any more.
fn has_moved(request: &JoinRequest, known: &Member) -> bool {
    request.rank == Some(known.rank)
        && request.incarnation > known.incarnation
        && request.old_address_answers == Some(false)
}
