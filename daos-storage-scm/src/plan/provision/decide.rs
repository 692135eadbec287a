//! From facts and a request to the next steps: the states of R133 as one pure function.
//!
//! It knows no earlier call: after a reboot, or a crash half way, the same request goes on from what is there.

use super::socket::{has_room, regions_of, socket_state};
use super::{ProvisionDraft, ProvisionPlan};
use crate::ScmError;
use crate::model::{
    GoalSupport, Labels, MemoryGoal, NamespaceFacts, NamespaceMode, NamespaceUse,
    NamespacesPerSocket, PmemFacts, ProvisionRequest, ProvisionStep, ProvisionVerdict, RegionFacts,
    SocketState,
};

/// Decides what a request does now.
///
/// # Errors
/// 211 for a socket without modules; 212 for regions that are broken or not interleaved; 213 for what is partly used
/// or in another mode; 103 and 1201 for namespaces in use, whatever is agreed to; 1, 2 or 1460 when a goal would
/// have to be set and the library cannot be used; 1212 for a goal of modules that take none.
pub fn plan_provision(
    request: &ProvisionRequest,
    facts: &PmemFacts,
) -> Result<ProvisionPlan, ScmError> {
    let mut draft = ProvisionDraft {
        verdict: ProvisionVerdict::Changes,
        steps: Vec::new(),
        destroys: Vec::new(),
        notices: Vec::new(),
        reboot_required: false,
    };
    if facts.modules.is_empty() && facts.regions.is_empty() {
        draft.verdict = ProvisionVerdict::NoModules;
        return ProvisionPlan::new(request.clone(), draft, facts.clone());
    }
    refuse_bad_version(facts)?;
    for socket in sockets(request, facts)? {
        let wish = Wish { facts, socket };
        match request {
            ProvisionRequest::Prepare { namespaces, .. } => {
                wish.prepare(*namespaces, &mut draft)?
            }
            ProvisionRequest::SetInterleaved { .. } => wish.set_interleaved(&mut draft)?,
            ProvisionRequest::Reset { goal, .. } => wish.reset(*goal, &mut draft)?,
        }
    }
    if draft.steps.is_empty() && !draft.reboot_required {
        draft.verdict = match request {
            ProvisionRequest::Reset { .. } => ProvisionVerdict::AlreadyReset,
            _ => ProvisionVerdict::AlreadyPrepared,
        };
    }
    ProvisionPlan::new(request.clone(), draft, facts.clone())
}

/// A library known to be wrong is refused even where the kernel alone would do: it was installed to be used.
fn refuse_bad_version(facts: &PmemFacts) -> Result<(), ScmError> {
    match &facts.goals {
        GoalSupport::Unavailable { code: 2, .. } => Err(unavailable(&facts.goals)),
        _ => Ok(()),
    }
}

fn unavailable(goals: &GoalSupport) -> ScmError {
    match goals {
        GoalSupport::Unavailable { code, why, resolution } => ScmError::GoalsUnavailable {
            code: *code,
            why: why.clone(),
            resolution: resolution.clone(),
        },
        _ => ScmError::Unsupported {
            operation: "set a goal",
            why: "these modules are managed by no library that sets goals".to_owned(),
        },
    }
}

/// The sockets that are asked for, in order; every one that has modules or regions by default.
fn sockets(request: &ProvisionRequest, facts: &PmemFacts) -> Result<Vec<u32>, ScmError> {
    let modules = facts.modules.iter().map(|module| module.socket);
    let regions = facts.regions.iter().map(|region| region.region.socket);
    let mut there: Vec<u32> = modules.chain(regions).collect();
    there.sort_unstable();
    there.dedup();
    match request.socket() {
        None => Ok(there),
        Some(socket) if there.contains(&socket) => Ok(vec![socket]),
        Some(socket) => Err(ScmError::NoPmem { socket }),
    }
}

#[derive(Debug, Clone, Copy)]
struct Wish<'a> {
    facts: &'a PmemFacts,
    socket: u32,
}

impl Wish<'_> {
    fn prepare(
        self,
        wanted: NamespacesPerSocket,
        draft: &mut ProvisionDraft,
    ) -> Result<(), ScmError> {
        let state = socket_state(self.facts, self.socket, wanted);
        match state {
            SocketState::NoRegions | SocketState::GoalPending => {
                self.goal(MemoryGoal::AppDirectInterleaved, draft)
            }
            SocketState::NotInterleaved | SocketState::NotHealthy(_) => Err(self.bad(&state)),
            SocketState::UnknownMode(_) | SocketState::PartialFreeCapacity(_) => {
                Err(self.invalid(&state))
            }
            SocketState::LabelsMissing | SocketState::FreeCapacity | SocketState::NoCapacity => {
                for region in regions_of(self.facts, self.socket) {
                    self.fill(region, wanted, draft)?;
                }
                Ok(())
            }
        }
    }

    /// Namespaces in what a region has left, after labels where it has none.
    fn fill(
        self,
        region: &RegionFacts,
        wanted: NamespacesPerSocket,
        draft: &mut ProvisionDraft,
    ) -> Result<(), ScmError> {
        let Some(name) = region.name.clone() else {
            return Err(self.invalid(&SocketState::UnknownMode(region.shown())));
        };
        let (there, room) = match region.labels {
            Labels::Missing => (0, region.region.capacity),
            Labels::Ready => (region.namespaces.len(), region.region.free_capacity),
        };
        if region.labels == Labels::Missing {
            self.labels(region, &name, draft)?;
        } else if !has_room(region) {
            return self.usable(region, wanted, draft);
        }
        let missing = u64::try_from(usize::from(wanted.get()).saturating_sub(there)).unwrap_or(0);
        let size = room.checked_div(missing).unwrap_or(0);
        let size = size - size % region.align.max(1);
        if size == 0 {
            let why = format!("{name} has {room} bytes, too few for {missing} namespaces");
            return Err(self.invalid(&SocketState::PartialFreeCapacity(why)));
        }
        let step = ProvisionStep::CreateNamespace {
            region: name,
            modules: region.modules.clone(),
            size_bytes: size,
        };
        draft.steps.extend((0..missing).map(|_| step.clone()));
        Ok(())
    }

    /// What the kernel shows of an unlabelled region is one raw namespace, which may well be in use (R135).
    fn labels(
        self,
        region: &RegionFacts,
        name: &str,
        draft: &mut ProvisionDraft,
    ) -> Result<(), ScmError> {
        for space in &region.namespaces {
            refuse_used(space)?;
        }
        let dimms = region.dimms.clone();
        let content = region.namespaces.iter().find_map(|space| {
            let content = space.used.content.as_ref()?;
            Some(format!("{} with {content}", space.shown()))
        });
        let what = content.unwrap_or_else(|| "which have none that are valid".to_owned());
        draft.destroys.push(format!("labels of {} ({name}), {what}", dimms.join(", ")));
        draft.steps.push(ProvisionStep::InitialiseLabels { region: name.to_owned(), dimms });
        Ok(())
    }

    /// A region that is full is as it should be when block access with dax is possible.
    fn usable(
        self,
        region: &RegionFacts,
        wanted: NamespacesPerSocket,
        draft: &mut ProvisionDraft,
    ) -> Result<(), ScmError> {
        let good = |space: &&NamespaceFacts| {
            space.mode == NamespaceMode::Fsdax && space.blockdev.is_some()
        };
        if region.namespaces.iter().filter(good).count() == 0 {
            let there: Vec<String> = region
                .namespaces
                .iter()
                .map(|each| format!("{} is {}", each.name, each.mode))
                .collect();
            let why =
                format!("{}: {}, none is enabled in mode fsdax", region.shown(), there.join(", "));
            return Err(self.invalid(&SocketState::UnknownMode(why)));
        }
        let (there, wanted) = (region.namespaces.len(), usize::from(wanted.get()));
        if there < wanted {
            let name = region.shown();
            draft.notices.push(format!("{name} is full with {there} of {wanted} namespaces"));
        }
        let others = region.namespaces.iter().filter(|space| !good(space));
        draft.notices.extend(others.map(|space| {
            format!("{} is of mode {} or disabled, and left alone", space.shown(), space.mode)
        }));
        Ok(())
    }

    /// Sees to it that the next reboot makes this of the socket.
    fn goal(self, goal: MemoryGoal, draft: &mut ProvisionDraft) -> Result<(), ScmError> {
        if !matches!(self.facts.goals, GoalSupport::Vendor { .. }) {
            return Err(unavailable(&self.facts.goals));
        }
        let socket = self.socket;
        let own: Vec<_> =
            self.facts.pending.iter().filter(|pending| pending.socket == socket).collect();
        let modules = self.facts.modules.iter().filter(|module| module.socket == socket).count();
        draft.reboot_required = true;
        let wanted = |pending: &&&crate::model::PendingGoal| {
            pending.goal == Some(goal) && pending.refused.is_none()
        };
        if !own.is_empty() && own.iter().filter(wanted).count() == modules {
            draft.notices.push(format!("socket {socket} waits for a reboot already"));
            return Ok(());
        }
        for pending in own.iter().filter(|pending| pending.refused.is_some()) {
            draft.notices.push(pending.to_string());
        }
        if !own.is_empty() {
            draft.steps.push(ProvisionStep::DeleteGoals { socket });
        }
        draft.steps.push(ProvisionStep::CreateGoal { socket, goal });
        draft.destroys.push(format!(
            "how the {modules} modules of socket {socket} are used now, at the next reboot"
        ));
        Ok(())
    }

    fn set_interleaved(self, draft: &mut ProvisionDraft) -> Result<(), ScmError> {
        let state = socket_state(self.facts, self.socket, NamespacesPerSocket::default());
        match state {
            SocketState::NotInterleaved | SocketState::NotHealthy(_) => Err(self.bad(&state)),
            SocketState::UnknownMode(_) => Err(self.invalid(&state)),
            SocketState::NoRegions | SocketState::GoalPending => {
                self.goal(MemoryGoal::AppDirectInterleaved, draft)
            }
            _ if matches!(self.facts.goals, GoalSupport::Vendor { .. }) => {
                draft.notices.push(format!("socket {} is interleaved already", self.socket));
                Ok(())
            }
            _ => Err(unavailable(&self.facts.goals)),
        }
    }

    fn reset(self, goal: MemoryGoal, draft: &mut ProvisionDraft) -> Result<(), ScmError> {
        let regions = regions_of(self.facts, self.socket);
        // Without labels the kernel's one namespace is the region itself, and cannot be destroyed.
        let labelled = regions.iter().filter(|region| region.labels == Labels::Ready);
        let spaces: Vec<&NamespaceFacts> = labelled.flat_map(|region| &region.namespaces).collect();
        for space in &spaces {
            refuse_used(space)?;
            if space.mode == NamespaceMode::Devdax {
                let why = format!("{} is devdax: who uses it cannot be seen", space.name);
                return Err(self.invalid(&SocketState::UnknownMode(why)));
            }
        }
        for space in &spaces {
            let what = space.used.content.as_deref().unwrap_or("nothing that is known");
            draft.destroys.push(format!("{}, {} bytes with {what}", space.shown(), space.size));
            draft.steps.push(ProvisionStep::DestroyNamespace {
                name: space.name.clone(),
                uuid: space.uuid.clone(),
                blockdev: space.blockdev.clone(),
            });
        }
        let pending = self.facts.pending.iter().any(|each| each.socket == self.socket);
        let state = socket_state(self.facts, self.socket, NamespacesPerSocket::default());
        let as_wanted = match goal {
            MemoryGoal::MemoryMode => regions.is_empty(),
            // A reset is also the way out of regions that nothing can be built on.
            MemoryGoal::AppDirectInterleaved => {
                spaces.is_empty() && state != SocketState::NotInterleaved
            }
        };
        match &self.facts.goals {
            GoalSupport::Fixed if goal == MemoryGoal::MemoryMode => {
                Err(unavailable(&self.facts.goals))
            }
            GoalSupport::Fixed => Ok(()),
            // R137 and E19: what is as it should be needs no reboot.
            _ if as_wanted && !pending => Ok(()),
            _ => self.goal(goal, draft),
        }
    }

    fn bad(self, state: &SocketState) -> ScmError {
        ScmError::BadRegion { socket: self.socket, why: state.to_string() }
    }

    fn invalid(self, state: &SocketState) -> ScmError {
        ScmError::InvalidPmem { socket: self.socket, why: state.to_string() }
    }
}

fn refuse_used(space: &NamespaceFacts) -> Result<(), ScmError> {
    refuse_used_namespace(space.blockdev.as_deref().unwrap_or(&space.name), &space.used)
}

/// In use is refused whatever is agreed to (E3, R128).
pub(crate) fn refuse_used_namespace(blockdev: &str, used: &NamespaceUse) -> Result<(), ScmError> {
    let device = std::path::PathBuf::from(format!("/dev/{blockdev}"));
    if !used.mounted.is_empty() {
        return Err(ScmError::DeviceMounted { device, at: used.mounted.join(", ") });
    }
    if !used.held.is_empty() {
        return Err(ScmError::InUse { device, users: used.held.clone() });
    }
    Ok(())
}
