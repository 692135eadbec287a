//! Undoing it: namespaces that can be looked at go, with what is on them, and a goal is set (R137).

use super::ProvisionDraft;
use super::decide::{Wish, unavailable};
use super::guard;
use super::socket::{own_regions, regions_of, socket_state};
use crate::ScmError;
use crate::model::{
    GoalSupport, Labels, MemoryGoal, NamespaceFacts, NamespacesPerSocket, ProvisionStep,
    RegionFacts, SocketState,
};

impl Wish<'_> {
    pub(super) fn reset(
        self,
        goal: MemoryGoal,
        draft: &mut ProvisionDraft,
    ) -> Result<(), ScmError> {
        let regions = regions_of(self.facts, self.socket);
        let (labelled, without): (Vec<&RegionFacts>, Vec<&RegionFacts>) =
            regions.into_iter().partition(|region| region.labels == Labels::Ready);
        let spaces: Vec<&NamespaceFacts> =
            labelled.iter().flat_map(|region| &region.namespaces).collect();
        for space in &spaces {
            destroy(space, draft)?;
        }
        // Without labels the kernel's one namespace is the region itself, and cannot be destroyed.
        let kept = without.iter().flat_map(|region| &region.namespaces);
        draft.notices.extend(kept.filter(|space| space.is_usable()).map(|space| {
            format!("{} has no label, so it cannot be destroyed and is left alone", space.shown())
        }));
        let pending = self.facts.pending.iter().any(|each| each.socket == self.socket);
        let state = socket_state(self.facts, self.socket, NamespacesPerSocket::default());
        let as_wanted = match goal {
            MemoryGoal::MemoryMode => own_regions(self.facts, self.socket).is_empty(),
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
}

fn destroy(space: &NamespaceFacts, draft: &mut ProvisionDraft) -> Result<(), ScmError> {
    guard::require_unused(space)?;
    let Some(blockdev) = space.blockdev.clone() else {
        return Err(ScmError::Internal { what: format!("{} was not looked at", space.name) });
    };
    draft.destroys.push(space.loss());
    draft.steps.push(ProvisionStep::DestroyNamespace {
        name: space.name.clone(),
        uuid: space.uuid.clone(),
        blockdev,
    });
    Ok(())
}
