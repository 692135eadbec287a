//! From facts and a request to the next steps: the states of R133 as one pure function.
//!
//! It knows no earlier call: after a reboot, or a crash half way, the same request goes on from what is there.
//! What is given up is in `reset`, what may be given up at all in `guard`, the state that is decided on in `socket`.

use super::socket::{has_room, own_regions, regions_of, regions_to_fill, socket_state};
use super::{ProvisionDraft, ProvisionPlan, guard};
use crate::ScmError;
use crate::model::{
    GoalSupport, Labels, MemoryGoal, NamespaceFacts, NamespacesPerSocket, PmemFacts,
    ProvisionRequest, ProvisionStep, ProvisionVerdict, RegionFacts, SocketState,
};

/// Decides what a request does now.
///
/// # Errors
/// 211 for a socket without modules; 212 for regions that are broken or not interleaved; 213 for what is partly used
/// or in another mode; 103 and 1201 for namespaces in use, whatever is agreed to, and 1501 for those nobody can look
/// at; 1, 2, 1460 or 1500 when a goal would have to be set and the library cannot be used; 1212 for a goal of modules
/// that take none.
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
    let sockets = sockets(request, facts)?;
    if enable_regions(&sockets, facts, &mut draft) {
        return ProvisionPlan::new(request.clone(), draft, facts.clone());
    }
    for socket in sockets {
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

/// What is in a disabled region does not show, so nothing is decided before it is enabled: the step of its own that a
/// crash between two commands of ndctl, or an administrator, calls for.
fn enable_regions(sockets: &[u32], facts: &PmemFacts, draft: &mut ProvisionDraft) -> bool {
    let own = sockets.iter().flat_map(|socket| regions_of(facts, *socket));
    for region in own.filter(|region| region.disabled) {
        draft.steps.push(ProvisionStep::EnableRegion {
            region: region.shown(),
            modules: region.modules.clone(),
        });
        draft
            .notices
            .push(format!("what is in {} is looked at once it is enabled", region.shown()));
    }
    !draft.steps.is_empty()
}

/// A library known to be wrong is refused even where the kernel alone would do: it was installed to be used.
fn refuse_bad_version(facts: &PmemFacts) -> Result<(), ScmError> {
    match &facts.goals {
        GoalSupport::Unavailable { code: 2, .. } => Err(unavailable(&facts.goals)),
        _ => Ok(()),
    }
}

pub(super) fn unavailable(goals: &GoalSupport) -> ScmError {
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
pub(super) struct Wish<'a> {
    pub(super) facts: &'a PmemFacts,
    pub(super) socket: u32,
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
            SocketState::Disabled(_)
            | SocketState::UnknownMode(_)
            | SocketState::PartialFreeCapacity(_) => Err(self.invalid(&state)),
            SocketState::LabelsMissing | SocketState::FreeCapacity | SocketState::NoCapacity => {
                for region in regions_to_fill(self.facts, self.socket) {
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
        let unlabelled = region.labels == Labels::Missing;
        let (there, room) = match unlabelled {
            true => (0, region.region.capacity),
            false => (region.namespaces.len(), region.region.free_capacity),
        };
        if unlabelled && !region.namespaces.iter().any(NamespaceFacts::is_usable) {
            self.labels(region, &name, draft)?;
        } else if !has_room(region) {
            return self.usable(region, wanted, draft);
        } else {
            leave_alone(region, draft);
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
            wipe: unlabelled,
        };
        draft.steps.extend((0..missing).map(|_| step.clone()));
        Ok(())
    }

    /// What the kernel shows of an unlabelled region is one raw namespace, which may well be in use (R135). Labels are
    /// written over nothing else, and over nothing that is not named.
    fn labels(
        self,
        region: &RegionFacts,
        name: &str,
        draft: &mut ProvisionDraft,
    ) -> Result<(), ScmError> {
        let (dimms, modules) = (region.dimms.clone(), region.modules.clone());
        if dimms.is_empty() {
            let what = format!("labels for no module, in {name}");
            return Err(ScmError::Internal { what });
        }
        for space in &region.namespaces {
            guard::require_unused(space)?;
            draft.destroys.push(space.loss());
        }
        let labels =
            format!("labels of {} ({name}), which have none that are valid", dimms.join(", "));
        draft.destroys.push(labels);
        let region = name.to_owned();
        draft.steps.push(ProvisionStep::InitialiseLabels { region, dimms, modules });
        Ok(())
    }

    /// A region that is full is as it should be when block access with dax is possible.
    fn usable(
        self,
        region: &RegionFacts,
        wanted: NamespacesPerSocket,
        draft: &mut ProvisionDraft,
    ) -> Result<(), ScmError> {
        let good = |space: &&NamespaceFacts| space.is_usable();
        if region.namespaces.iter().filter(good).count() == 0 {
            let there: Vec<String> = region
                .namespaces
                .iter()
                .map(|each| match each.disabled {
                    true => format!("{} is disabled", each.name),
                    false => format!("{} is {}", each.name, each.mode),
                })
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
        leave_alone(region, draft);
        Ok(())
    }

    /// Sees to it that the next reboot makes this of the socket. What is still in its regions then is lost, so it is
    /// refused and named like all else that is.
    pub(super) fn goal(self, goal: MemoryGoal, draft: &mut ProvisionDraft) -> Result<(), ScmError> {
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
        let regions = own_regions(self.facts, socket);
        for space in regions.iter().flat_map(|region| &region.namespaces) {
            let goes = |step: &ProvisionStep| matches!(step, ProvisionStep::DestroyNamespace { name, .. } if *name == space.name);
            if !draft.steps.iter().any(goes) {
                guard::require_unused(space)?;
                draft.destroys.push(space.loss());
            }
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
            SocketState::Disabled(_) | SocketState::UnknownMode(_) => Err(self.invalid(&state)),
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

    fn bad(self, state: &SocketState) -> ScmError {
        ScmError::BadRegion { socket: self.socket, why: state.to_string() }
    }

    fn invalid(self, state: &SocketState) -> ScmError {
        ScmError::InvalidPmem { socket: self.socket, why: state.to_string() }
    }
}

/// Says which namespaces no format can take. One whose making was cut off is raw, and looks like anybody's.
fn leave_alone(region: &RegionFacts, draft: &mut ProvisionDraft) {
    let others = region.namespaces.iter().filter(|space| !space.is_usable());
    draft.notices.extend(others.map(|space| match space.disabled {
        true => format!("{} is disabled, and left alone", space.shown()),
        false => format!("{} is of mode {}, and left alone", space.shown(), space.mode),
    }));
}
