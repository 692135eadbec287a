//! What a format would do, and the agreement to it.
//!
//! A format is applied only with an [`AcceptedFormat`], which only looked-at previews can become: what destroys data
//! needs [`Consent::Given`]. Servers that cannot show a plan are previews too, of which the worst is assumed.

use crate::Fault;
use crate::client::error::ClientError;
use crate::client::fanout::HostResults;
use crate::client::host_list::{HostAddr, HostSet};

/// Which storage a format may touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FormatMode {
    /// What waits for a format: blank devices or our own.
    #[default]
    Waiting,
    /// Also what is formatted or holds something else.
    Reformat,
    /// As `Waiting`, for an engine that takes over the rank of one whose storage was lost.
    Replace,
}

/// What one host said to a planned format.
#[derive(Debug, Clone, PartialEq)]
pub enum FormatPreview {
    /// The plan.
    Plan(FormatPlan),
    /// The server has no plan service: a stock server.
    Unplanned,
}

/// What a format of one host would do.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FormatPlan {
    /// Names exactly this plan; empty when there is nothing to do.
    pub digest: String,
    /// Whether applying destroys anything.
    pub destroys: bool,
    /// Engine by engine.
    pub engines: Vec<EnginePlan>,
}

/// What a format of one engine's storage would do.
#[derive(Debug, Clone, PartialEq)]
pub struct EnginePlan {
    /// Number of the engine on its host, from 0.
    pub index: u32,
    /// Whether it would be formatted.
    pub verdict: EngineVerdict,
    /// Device by device.
    pub devices: Vec<DevicePlan>,
    /// Whether the system database lies here and goes with it.
    pub system_lost: bool,
}

/// Whether an engine's storage would be formatted.
#[derive(Debug, Clone, PartialEq)]
pub enum EngineVerdict {
    /// It would.
    Format,
    /// It is formatted, and nothing would be done.
    AlreadyFormatted(Option<Fault>),
    /// It cannot be.
    Refused(Fault),
}

/// What a format of one device would do.
#[derive(Debug, Clone, PartialEq)]
pub struct DevicePlan {
    /// What it is used for.
    pub medium: Medium,
    /// Mount point, path or PCI address.
    pub device: String,
    /// What names the physical thing; empty when nothing does.
    pub identity: String,
    /// What is on it now, in words; empty when it is blank.
    pub content: String,
    /// What would happen, in order.
    pub steps: Vec<String>,
    /// Whether that destroys anything.
    pub destroys: bool,
    /// Why it cannot be done.
    pub refused: Option<Fault>,
}

/// What a device is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Medium {
    /// Persistent memory or RAM.
    Scm,
    /// Block storage.
    Nvme,
    /// The server's own metadata.
    Metadata,
}

impl Medium {
    /// The word that is printed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scm => "SCM",
            Self::Nvme => "NVMe",
            Self::Metadata => "Metadata",
        }
    }
}

/// What the hosts said, before anybody agreed.
#[derive(Debug)]
pub struct FormatPreviews {
    pub(in crate::client) mode: FormatMode,
    /// Host by host.
    pub hosts: HostResults<FormatPreview>,
}

/// Whether the administrator agreed to what the previews show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Nobody was asked: good only for what destroys nothing.
    NotAsked,
    /// The loss was shown and agreed to.
    Given,
}

/// Previews that were agreed to: the only thing a format can be applied with.
#[derive(Debug)]
pub struct AcceptedFormat {
    pub(in crate::client) mode: FormatMode,
    pub(in crate::client) planned: Vec<(HostAddr, FormatPlan)>,
    pub(in crate::client) unplanned: Vec<HostAddr>,
}

impl FormatPreview {
    /// Whether applying destroys anything, or nobody knows.
    #[must_use]
    pub fn may_destroy(&self) -> bool {
        match self {
            Self::Plan(plan) => plan.destroys,
            Self::Unplanned => true,
        }
    }

    /// Whether there is anything to do.
    #[must_use]
    pub fn has_work(&self) -> bool {
        match self {
            Self::Plan(plan) => !plan.digest.is_empty(),
            Self::Unplanned => true,
        }
    }
}

impl FormatPreviews {
    /// Whether applying destroys anything on any host, or nobody knows.
    #[must_use]
    pub fn may_destroy(&self) -> bool {
        self.hosts.answers.iter().any(|(_, preview)| preview.may_destroy())
    }

    /// Hosts that cannot show a plan.
    #[must_use]
    pub fn unplanned(&self) -> HostSet {
        let unplanned = self.hosts.answers.iter().filter(|(_, p)| *p == FormatPreview::Unplanned);
        unplanned.map(|(host, _)| host.clone()).collect()
    }

    /// Agrees to what is shown.
    ///
    /// # Errors
    /// [`ClientError::NotConfirmed`] when data may be destroyed and consent was not given.
    pub fn accept(&self, consent: Consent) -> Result<AcceptedFormat, ClientError> {
        if self.may_destroy() && consent != Consent::Given {
            return Err(ClientError::NotConfirmed);
        }
        let mut accepted =
            AcceptedFormat { mode: self.mode, planned: Vec::new(), unplanned: Vec::new() };
        for (host, preview) in &self.hosts.answers {
            match preview {
                FormatPreview::Plan(plan) => accepted.planned.push((host.clone(), plan.clone())),
                FormatPreview::Unplanned => accepted.unplanned.push(host.clone()),
            }
        }
        Ok(accepted)
    }
}

#[cfg(test)]
mod tests {
    use super::{Consent, FormatMode, FormatPlan, FormatPreview, FormatPreviews};
    use crate::client::fanout::HostResults;
    use crate::client::{ClientError, HostAddr};

    fn previews(previews: Vec<FormatPreview>) -> FormatPreviews {
        let host = |index| HostAddr::parse(&format!("n{index}")).unwrap();
        let answers = previews.into_iter().enumerate().map(|(i, p)| (host(i), p)).collect();
        FormatPreviews {
            mode: FormatMode::Waiting,
            hosts: HostResults { answers, failures: Vec::new() },
        }
    }

    fn plan(destroys: bool) -> FormatPreview {
        FormatPreview::Plan(FormatPlan { digest: "d".into(), destroys, engines: Vec::new() })
    }

    /// Blank devices are formatted without asking; what destroys needs consent.
    #[test]
    fn destruction_needs_consent() {
        assert!(previews(vec![plan(false)]).accept(Consent::NotAsked).is_ok());
        let destroying = previews(vec![plan(false), plan(true)]);
        assert!(matches!(destroying.accept(Consent::NotAsked), Err(ClientError::NotConfirmed)));
        assert_eq!(destroying.accept(Consent::Given).unwrap().planned.len(), 2);
    }

    /// A server that shows nothing is assumed to destroy.
    #[test]
    fn an_unknown_plan_needs_consent() {
        let unknown = previews(vec![FormatPreview::Unplanned]);
        assert!(unknown.accept(Consent::NotAsked).is_err());
        assert_eq!(unknown.accept(Consent::Given).unwrap().unplanned.len(), 1);
        assert_eq!(unknown.unplanned().to_string(), "n0");
    }
}
