//! Carries out the steps for one file, on one descriptor from the first to the last.

use std::fs::File;
use std::path::PathBuf;

use super::{create, observe};
use crate::BdevError;
use crate::model::{DeviceRef, FileContent, FileFacts, FileKind, FileState};
use crate::plan::DeviceStep;

/// A file being worked on.
#[derive(Debug)]
pub(super) struct FileWork {
    path: PathBuf,
    name: String,
    planned: FileState,
    file: Option<File>,
    discarded: bool,
}

impl FileWork {
    pub(super) fn start(device: &DeviceRef, planned: &FileState) -> Self {
        let name = device.name.clone();
        Self {
            path: PathBuf::from(&name),
            name,
            planned: planned.clone(),
            file: None,
            discarded: false,
        }
    }

    /// Takes one step; blocks.
    pub(super) fn take(mut self, step: &DeviceStep) -> Result<Self, BdevError> {
        match step {
            DeviceStep::CreateFile { size_bytes, owner, mode } => {
                create::create(&self.path, *size_bytes, *owner, *mode)?;
            }
            DeviceStep::DiscardContents => {
                let file = self.opened()?;
                file.set_len(0).map_err(|error| self.failed(step, error))?;
                self.discarded = true;
                self.sync(step)?;
            }
            DeviceStep::ReserveSpace { size_bytes } => {
                let file = self.opened()?;
                if let Err(error) = create::reserve(&file, &self.name, *size_bytes) {
                    self.give_back(&file);
                    return Err(error);
                }
                self.sync(step)?;
            }
            DeviceStep::SetOwner { owner, mode } => {
                let file = self.opened()?;
                create::set_owner(&file, &self.name, *owner, *mode)?;
                self.sync(step)?;
            }
            DeviceStep::EraseSignatures
            | DeviceStep::FormatNamespace { .. }
            | DeviceStep::FormatAllNamespaces
            | DeviceStep::EraseNamespace { .. }
            | DeviceStep::LendToKernel { .. }
            | DeviceStep::ReturnToUserSpace { .. } => {
                let detail = format!("{}: no step for a file: {step}", self.name);
                return Err(BdevError::BadTarget { detail });
            }
        }
        Ok(self)
    }

    /// The descriptor. The first time, the path is opened and what it leads to is compared with the plan.
    fn opened(&mut self) -> Result<File, BdevError> {
        if self.file.is_none() {
            let file = observe::open(&self.path, true)
                .map_err(|error| BdevError::from_io(&self.name, "open the file", error))?;
            self.require_planned(&file)?;
            self.file = Some(file);
        }
        let clone = self.file.as_ref().map(File::try_clone).transpose();
        match clone {
            Ok(Some(file)) => Ok(file),
            Ok(None) => Err(BdevError::NotFound { device: self.name.clone() }),
            Err(error) => Err(BdevError::from_io(&self.name, "use the open file", error)),
        }
    }

    fn require_planned(&self, file: &File) -> Result<(), BdevError> {
        let metadata = file
            .metadata()
            .map_err(|error| BdevError::from_io(&self.name, "look at the open file", error))?;
        let FileState::Present(planned) = &self.planned else {
            let detail = "a file has appeared".to_owned();
            return Err(BdevError::PlanChanged { subject: self.name.clone(), detail });
        };
        let kind = observe::kind_of(metadata.file_type());
        let found = observe::facts(kind, &metadata, planned.uses.clone(), planned.content.clone());
        if found == *planned {
            return Ok(());
        }
        let detail = difference(&self.planned, &FileState::Present(found));
        Err(BdevError::PlanChanged { subject: self.name.clone(), detail })
    }

    /// After space could not be reserved: back to the length before, so that the next plan finds an empty file or
    /// the planned one and not some length in between. There is nothing in it by now.
    fn give_back(&self, file: &File) {
        let length = match &self.planned {
            FileState::Present(planned) if !self.discarded => planned.size_bytes,
            _ => 0,
        };
        if let Err(error) = file.set_len(length) {
            tracing::warn!(device = %self.name, %error, "could not give reserved space back");
        }
    }

    fn sync(&self, step: &DeviceStep) -> Result<(), BdevError> {
        match &self.file {
            Some(file) => file.sync_all().map_err(|error| self.failed(step, error)),
            None => Ok(()),
        }
    }

    fn failed(&self, step: &DeviceStep, error: std::io::Error) -> BdevError {
        BdevError::from_io(&self.name, step.to_string(), error)
    }
}

/// What differs between two looks at a file, for an administrator.
pub(super) fn difference(planned: &FileState, now: &FileState) -> String {
    let (planned, now) = match (planned, now) {
        (FileState::Present(planned), FileState::Present(now)) => (planned, now),
        (FileState::Absent { .. }, FileState::Present(_)) => {
            return "a file has appeared".to_owned();
        }
        (FileState::Present(_), FileState::Absent { .. }) => return "the file is gone".to_owned(),
        (FileState::Absent { .. }, FileState::Absent { .. }) => {
            return "its directory is another one".to_owned();
        }
    };
    let place = |facts: &FileFacts| format!("inode {} on {}", facts.inode, facts.file_system);
    let pairs = [
        ("kind", planned.kind.to_string(), now.kind.to_string()),
        ("identity", place(planned), place(now)),
        ("size", planned.size_bytes.to_string(), now.size_bytes.to_string()),
        ("content", planned.content.to_string(), now.content.to_string()),
        ("time of change", planned.modified_ns.to_string(), now.modified_ns.to_string()),
    ];
    pairs.into_iter().find(|(_, planned, now)| planned != now).map_or_else(
        || "owner, permissions or space".to_owned(),
        |(what, planned, now)| format!("{what} was {planned}, is {now}"),
    )
}

/// Reads back what a format has to leave.
pub(super) fn prove(
    device: &DeviceRef,
    now: &FileState,
    size_bytes: Option<u64>,
) -> Result<(), BdevError> {
    let detail = match now {
        FileState::Absent { .. } => "the file is gone".to_owned(),
        FileState::Present(facts) => {
            let size = size_bytes.unwrap_or(facts.size_bytes);
            let good = facts.kind == FileKind::Regular
                && facts.size_bytes == size
                && facts.content == FileContent::Blank;
            if good {
                return Ok(());
            }
            format!("{} of {} bytes, {}", facts.kind, facts.size_bytes, facts.content)
        }
    };
    Err(BdevError::ReadBack { device: device.name.clone(), detail })
}
