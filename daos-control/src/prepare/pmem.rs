//! Persistent memory made ready for engines and given back: words into a request, a plan that is shown and agreed to,
//! an outcome into lines and data (R133-R137, T7).

use std::fmt::Write as _;

use daos_storage_scm::model::{
    MemoryGoal, NamespacesPerSocket, ProvisionOutcome, ProvisionRequest, ProvisionVerdict,
};
use daos_storage_scm::{ProvisionPlan, ScmProvider, StepObserver};
use serde_json::{Value, json};

use crate::fault::Fault;

/// What an administrator wants of persistent memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PmemAsk {
    /// Regions, then namespaces.
    Prepare {
        /// Only this socket.
        socket: Option<u32>,
        /// Namespaces for each region, 1 to 4; what is more counts as 4, and less as 1.
        namespaces: u8,
    },
    /// Only the goal of interleaved regions.
    SetInterleaved {
        /// Only this socket.
        socket: Option<u32>,
    },
    /// Namespaces away, and a goal set.
    Reset {
        /// Only this socket.
        socket: Option<u32>,
        /// Make it ordinary memory instead of empty regions.
        memory_mode: bool,
    },
}

impl PmemAsk {
    fn request(self) -> ProvisionRequest {
        match self {
            Self::Prepare { socket, namespaces } => ProvisionRequest::Prepare {
                socket,
                namespaces: NamespacesPerSocket::new(namespaces.clamp(1, 4)).unwrap_or_default(),
            },
            Self::SetInterleaved { socket } => ProvisionRequest::SetInterleaved { socket },
            Self::Reset { socket, memory_mode } => ProvisionRequest::Reset {
                socket,
                goal: match memory_mode {
                    true => MemoryGoal::MemoryMode,
                    false => MemoryGoal::AppDirectInterleaved,
                },
            },
        }
    }

    fn is_reset(self) -> bool {
        matches!(self, Self::Reset { .. })
    }
}

/// What would be done. Changes nothing.
///
/// # Errors
/// What keeps it from being done at all.
pub async fn plan_pmem(provider: &dyn ScmProvider, ask: PmemAsk) -> Result<PmemPlan, Fault> {
    Ok(PmemPlan { ask, plan: provider.plan_provision(&ask.request()).await? })
}

/// Does what was planned, if the host still is as it was. `progress` is told each step before it is taken.
///
/// # Errors
/// The first step that failed; those before it were taken, and asking again goes on from there.
pub async fn provision_pmem(
    provider: &dyn ScmProvider,
    planned: PmemPlan,
    progress: impl Fn(&str) + Send + Sync,
) -> Result<PmemPrepared, Fault> {
    let PmemPlan { ask, plan } = planned;
    let digest = plan.digest().clone();
    let outcome = provider.provision(plan.accept(&digest)?, &Told(progress)).await?;
    Ok(PmemPrepared { ask, outcome })
}

struct Told<F>(F);

impl<F: Fn(&str) + Send + Sync> StepObserver for Told<F> {
    fn step(&self, step: &str) {
        (self.0)(step);
    }
}

/// A plan as it is shown.
#[derive(Debug, Clone)]
pub struct PmemPlan {
    ask: PmemAsk,
    plan: ProvisionPlan,
}

impl PmemPlan {
    /// Whether something is lost, so that consent is called for (R134).
    #[must_use]
    pub fn needs_consent(&self) -> bool {
        !self.plan.destroys().is_empty()
    }

    /// What will be done and what is lost, a line each.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for step in self.plan.steps() {
            // Writing to a String cannot fail.
            let _infallible = writeln!(text, "  will {step}");
        }
        for loss in self.plan.destroys() {
            let _infallible = writeln!(text, "  LOST: {loss}");
        }
        text
    }
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct PmemPrepared {
    ask: PmemAsk,
    outcome: ProvisionOutcome,
}

impl PmemPrepared {
    /// Whether regions were enabled to look into them, and nothing else was done: plan anew, and ask anew.
    #[must_use]
    pub fn again(&self) -> bool {
        self.outcome.again
    }

    /// Lines for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |words: &str| {
            let _infallible = writeln!(text, "  {words}");
        };
        match self.outcome.verdict {
            ProvisionVerdict::NoModules => line("no persistent memory"),
            ProvisionVerdict::AlreadyReset => line("already reset"),
            ProvisionVerdict::AlreadyPrepared => line("already prepared"),
            ProvisionVerdict::Changes => {}
        }
        for name in &self.outcome.destroyed {
            line(&format!("{name} destroyed"));
        }
        for goal in &self.outcome.goals {
            line(&goal.to_string());
        }
        for space in &self.outcome.namespaces {
            line(&format!(
                "/dev/{} ({}, {}): socket {}, {} bytes",
                space.blockdev, space.dev, space.mode, space.numa_node, space.size
            ));
        }
        for notice in &self.outcome.notices {
            line(&format!("notice: {notice}"));
        }
        if self.outcome.again {
            line("Run the same command again to go on from here.");
        }
        if self.outcome.reboot_required {
            line("A reboot is required for this to take effect.");
            if !self.ask.is_reset() {
                line("Then run the same command again.");
            }
        }
        text
    }

    /// The same for programs.
    #[must_use]
    pub fn data(&self) -> Value {
        json!({
            "verdict": self.outcome.verdict,
            "again": self.outcome.again,
            "reboot_required": self.outcome.reboot_required,
            "goals": self.outcome.goals,
            "namespaces": self.outcome.namespaces,
            "destroyed": self.outcome.destroyed,
            "notices": self.outcome.notices,
        })
    }
}

#[cfg(test)]
mod tests {
    use daos_storage_scm::sim::SimScm;

    use super::*;

    async fn run(sim: &SimScm, ask: PmemAsk) -> PmemPrepared {
        let plan = plan_pmem(sim, ask).await.expect("plan");
        provision_pmem(sim, plan, |_| {}).await.expect("done")
    }

    #[tokio::test]
    async fn the_two_passes_of_a_prepare_are_told_r133_r134() {
        let sim = SimScm::new();
        sim.add_modules(0, 1, 1 << 37);
        let ask = PmemAsk::Prepare { socket: None, namespaces: 1 };
        let plan = plan_pmem(&sim, ask).await.expect("plan");
        assert!(plan.needs_consent());
        assert_eq!(
            plan.text(),
            "  will set socket 0 to interleaved AppDirect at the next reboot\n  \
             LOST: how the 1 modules of socket 0 are used now, at the next reboot\n"
        );
        let first = provision_pmem(&sim, plan, |_| {}).await.expect("goal");
        assert_eq!(
            first.text(),
            "  socket 0 module 8089-a2-1748-00000000: interleaved AppDirect at the next reboot\n  \
             A reboot is required for this to take effect.\n  Then run the same command again.\n"
        );
        assert_eq!(first.data()["reboot_required"], true);
        assert_eq!(first.data()["goals"][0]["goal"], "app_direct_interleaved");
        sim.reboot();
        let plan = plan_pmem(&sim, ask).await.expect("plan");
        assert!(!plan.needs_consent(), "namespaces in free capacity lose nothing: {}", plan.text());
        let second = provision_pmem(&sim, plan, |_| {}).await.expect("namespaces");
        assert_eq!(
            second.text(),
            "  /dev/pmem0 (namespace0.0, fsdax): socket 0, 137438953472 bytes\n"
        );
        assert_eq!(second.data()["namespaces"][0]["blockdev"], "pmem0");
        assert!(run(&sim, ask).await.text().starts_with("  already prepared\n"));
    }

    #[tokio::test]
    async fn a_reset_says_what_is_gone_and_that_a_reboot_is_needed_r137() {
        let sim = SimScm::new();
        sim.add_modules(0, 1, 1 << 37);
        let reset = PmemAsk::Reset { socket: None, memory_mode: true };
        assert_eq!(run(&sim, reset).await.text(), "  already reset\n");
        for _ in 0..2 {
            run(&sim, PmemAsk::Prepare { socket: None, namespaces: 1 }).await;
            if sim.pmem_tools().modules.look().await.expect("look").regions.is_empty() {
                sim.reboot();
            }
        }
        run(&sim, PmemAsk::Prepare { socket: None, namespaces: 1 }).await;
        let plan = plan_pmem(&sim, reset).await.expect("plan");
        assert!(plan.needs_consent() && plan.text().contains("LOST: namespace"), "{}", plan.text());
        let done = provision_pmem(&sim, plan, |_| {}).await.expect("reset");
        assert!(
            done.text().contains(" destroyed\n") && done.text().contains("A reboot is required")
        );
        assert!(!done.text().contains("same command"), "{}", done.text());
        let none = run(&SimScm::new(), reset).await;
        assert_eq!(none.text(), "  no persistent memory\n");
    }

    /// What a disabled region hides is planned and agreed to only when it shows.
    #[tokio::test]
    async fn a_disabled_region_calls_for_another_look() {
        let sim = SimScm::new();
        sim.add_virtual_module(0, 1 << 30);
        let ask = PmemAsk::Prepare { socket: None, namespaces: 1 };
        sim.disable_regions(0, true);
        let plan = plan_pmem(&sim, ask).await.expect("plan");
        assert!(!plan.needs_consent(), "{}", plan.text());
        assert_eq!(plan.text(), "  will enable region0, which is disabled\n");
        let looked = provision_pmem(&sim, plan, |_| {}).await.expect("enabled");
        assert!(looked.again() && looked.data()["again"] == true);
        let plan = plan_pmem(&sim, ask).await.expect("plan");
        assert!(
            plan.needs_consent() && plan.text().contains("LOST: namespace0.0"),
            "{}",
            plan.text()
        );
        assert!(!provision_pmem(&sim, plan, |_| {}).await.expect("prepared").again());
    }
}
