//! Whether the file systems have room for the files that are still to be made, so that a plan promises nothing that cannot be.
//!
//! Told as 'enough' or 'not enough', never as a number: free bytes change by themselves, and two looks at the same state are to
//! be equal. Called by `observe` of this body.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{StatVfsMountFlags, statvfs};

use crate::BdevTarget;
use crate::model::{DeviceState, FileState, ObservedDevice, ParentState, TierDevices};

/// Whether nothing can be written to the file system of this directory. One that cannot be asked counts as writable: making
/// the file tells.
pub(super) fn is_read_only(directory: &Path) -> bool {
    statvfs(directory).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Marks every file that is still to be made on a file system without room for all of them together.
pub(super) fn look(target: &BdevTarget, observed: &mut [ObservedDevice]) {
    let mut wanted: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for device in observed.iter() {
        if let Some((file_system, available)) = to_be_made(device) {
            let (sum, _) = wanted.entry(file_system).or_insert((0, available));
            *sum = sum.saturating_add(size_bytes(target, device));
        }
    }
    for device in observed {
        let Some((file_system, _)) = to_be_made(device) else { continue };
        if wanted.get(&file_system).is_some_and(|(sum, available)| sum > available) {
            device.state = Ok(DeviceState::File(FileState::Absent { parent: ParentState::Full }));
        }
    }
}

/// File system and free bytes of a file that is not there yet.
fn to_be_made(device: &ObservedDevice) -> Option<(u64, u64)> {
    let Ok(DeviceState::File(FileState::Absent { parent: ParentState::Directory })) = device.state
    else {
        return None;
    };
    let parent = Path::new(&device.device.name).parent()?;
    let room = statvfs(parent).ok()?;
    // What is set aside for root is for this process when it is root.
    let blocks = if rustix::process::geteuid().is_root() { room.f_bfree } else { room.f_bavail };
    Some((fs::metadata(parent).ok()?.dev(), blocks.saturating_mul(room.f_frsize)))
}

fn size_bytes(target: &BdevTarget, device: &ObservedDevice) -> u64 {
    match target.tier_of(&device.device).map(|tier| &tier.devices) {
        Some(TierDevices::File { size_gib, .. }) => size_gib.saturating_mul(1 << 30),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{BdevTier, DeviceState, FileState, ParentState};
    use crate::{BdevProvider, BdevTarget, FileOwner, Roles, TierDevices};

    async fn parents(directory: &std::path::Path, sizes: &[u64]) -> Vec<ParentState> {
        let tier = |(index, size_gib): (usize, &u64)| BdevTier {
            tier: u32::try_from(index).expect("small") + 1,
            roles: Roles::NONE,
            devices: TierDevices::File {
                paths: vec![directory.join(format!("f{index}"))],
                size_gib: *size_gib,
            },
        };
        let target = BdevTarget {
            engine: 0,
            host: "h".to_owned(),
            owner: FileOwner::current(),
            tiers: sizes.iter().enumerate().map(tier).collect(),
        };
        let observed = super::super::AioBdev.observe(&target).await;
        let parent = |state| match state {
            Ok(DeviceState::File(FileState::Absent { parent })) => parent,
            other => panic!("{other:?}"),
        };
        observed.into_iter().map(|device| parent(device.state)).collect()
    }

    #[tokio::test]
    async fn files_that_do_not_fit_together_are_told_before_a_format() {
        let directory = tempfile::tempdir().expect("directory");
        let room = rustix::fs::statvfs(directory.path()).expect("asked");
        let gib = |blocks: u64| blocks.saturating_mul(room.f_frsize) >> 30;
        let look = async |sizes: &[u64]| parents(directory.path(), sizes).await;
        assert_eq!(look(&[1 << 33]).await, [ParentState::Full]);
        if gib(room.f_bavail) >= 2 {
            assert_eq!(look(&[1]).await, [ParentState::Directory]);
        }
        // Each alone would fit, for root at least.
        let most = gib(room.f_bfree) * 2 / 3 + 1;
        assert_eq!(look(&[most, most]).await, [ParentState::Full, ParentState::Full]);
    }

    #[tokio::test]
    async fn a_file_system_that_cannot_be_written_is_told_before_a_format() {
        // The kernel's own, which is read-only where there is a container around; elsewhere nobody makes files there either.
        let place = std::path::Path::new("/sys/kernel");
        if super::is_read_only(place) {
            assert_eq!(parents(place, &[1]).await, [ParentState::ReadOnly]);
        }
        let writable = tempfile::tempdir().expect("directory");
        assert!(!super::is_read_only(writable.path()));
    }
}
