//! Intel's modules through libipmctl: what the library's numbers mean here. It is loaded when it is first needed, so
//! that a program starts without it (R109).

mod gate;
mod sys;

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;

use crate::ScmError;
use crate::error::LIBIPMCTL;
use crate::model::{MemoryGoal, PendingGoal, RegionHealth, ScmModule};
use crate::pmem::{ModuleTool, ToolVersion, VendorMemory, VendorRegion, VendorView};
use gate::Gate;

/// Versions that are known to report regions wrongly (2.8 refuses the same).
pub const BAD_VERSIONS: &[&str] = &["02.00.00.3809", "02.00.00.3814", "02.00.00.3816"];

/// How long a call may take; a host with many modules is asked for each of them, and their firmware is not fast.
const LIMIT: Duration = Duration::from_secs(60);

/// The library is one for the whole process, so the way in is, too.
static GATE: LazyLock<Gate> = LazyLock::new(|| Gate::new(LIBIPMCTL, LIMIT));

/// The library.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ipmctl;

#[async_trait]
impl ModuleTool for Ipmctl {
    async fn look(&self) -> Result<VendorView, ScmError> {
        GATE.pass(look).await
    }

    async fn create_goal(&self, modules: &[String], goal: MemoryGoal) -> Result<(), ScmError> {
        let modules = modules.to_vec();
        GATE.pass(move || {
            usable()?;
            sys::with_session(|session| session.create_goal(&modules, goal))
        })
        .await
    }

    async fn delete_goals(&self, modules: &[String]) -> Result<(), ScmError> {
        let modules = modules.to_vec();
        GATE.pass(move || {
            usable()?;
            sys::with_session(|session| session.delete_goals(&modules))
        })
        .await
    }

    async fn version(&self) -> ToolVersion {
        let asked = GATE.pass(sys::version).await;
        let problem = match &asked {
            Ok(version) => refuse_bad(version).err().map(|error| error.to_string()),
            Err(ScmError::MissingTool { .. }) => None,
            Err(error) => Some(error.to_string()),
        };
        ToolVersion { tool: LIBIPMCTL, version: asked.ok(), problem }
    }
}

fn usable() -> Result<String, ScmError> {
    let version = sys::version()?;
    refuse_bad(&version)?;
    Ok(version)
}

fn refuse_bad(version: &str) -> Result<(), ScmError> {
    if BAD_VERSIONS.contains(&version) {
        return Err(ScmError::BadToolVersion {
            tool: LIBIPMCTL.to_owned(),
            version: version.to_owned(),
        });
    }
    Ok(())
}

fn look() -> Result<VendorView, ScmError> {
    let version = usable()?;
    sys::with_session(|session| {
        let devices = session.devices()?;
        if devices.is_empty() {
            return Ok(VendorView { version, ..VendorView::default() });
        }
        let mut view = VendorView { version, ..VendorView::default() };
        for device in &devices {
            // A module too broken to tell its health still is a module.
            let health = session.health(device).unwrap_or_default();
            view.modules.push(module(device, health));
            if let Some(goal) = session.goal(device)? {
                view.pending.extend(pending(&goal));
            }
        }
        view.regions = session.regions()?.iter().map(region).collect();
        Ok(view)
    })
}

fn module(found: &sys::device_discovery, health: u8) -> ScmModule {
    ScmModule {
        physical_id: found.physical_id.into(),
        channel: found.channel_id.into(),
        channel_position: found.channel_pos.into(),
        controller: found.memory_controller_id.into(),
        socket: found.socket_id.into(),
        capacity: found.capacity,
        uid: sys::string(&found.uid),
        part_number: sys::string(&found.part_number),
        firmware_revision: sys::string(&found.fw_revision),
        health: health_name(health).to_owned(),
    }
}

fn health_name(health: u8) -> &'static str {
    match health {
        1 => "Healthy",
        2 => "Noncritical failure",
        3 => "Critical failure",
        4 => "Fatal failure",
        5 => "Unmanageable",
        6 => "Nonfunctional",
        _ => "Unknown",
    }
}

fn region(found: &sys::region) -> VendorRegion {
    let ids = found.dimms.iter().take(usize::from(found.dimm_count));
    VendorRegion {
        iset_id: found.isetId,
        // Ordinary memory is of no socket.
        socket: u32::try_from(found.socket_id).unwrap_or(0),
        memory: match found.type_ {
            1 => VendorMemory::Persistent,
            2 => VendorMemory::Volatile,
            _ => VendorMemory::Unknown,
        },
        capacity: found.capacity,
        free_capacity: found.free_capacity,
        health: match found.health {
            1 => RegionHealth::Normal,
            2 => RegionHealth::Error,
            4 => RegionHealth::Pending,
            5 => RegionHealth::Locked,
            _ => RegionHealth::Unknown,
        },
        module_ids: ids.map(|id| u32::from(*id)).collect(),
    }
}

/// A goal that was applied is none any more, and one that is for nothing is none.
fn pending(goal: &sys::config_goal) -> Option<PendingGoal> {
    let refused = match goal.status {
        0 => return None,
        3 => Some("the goal was invalid"),
        4 => Some("not enough resources"),
        5 => Some("an error of the firmware"),
        6 => Some("for an unknown reason"),
        _ => None,
    };
    let sets = usize::try_from(goal.persistent_regions).unwrap_or(0).min(sys::SETS);
    let interleaved = goal.interleave_set_type.iter().take(sets).all(|kind| *kind != 2);
    // Its sizes come in units that differ between versions: only whether there is any counts.
    let persistent = goal.appdirect_size.iter().take(sets).any(|size| *size > 0);
    if !persistent && goal.volatile_size == 0 && refused.is_none() {
        return None;
    }
    Some(PendingGoal {
        socket: goal.socket_id.into(),
        module: sys::string(&goal.dimm_uid),
        goal: match (persistent, goal.volatile_size) {
            (false, 0) => None,
            (false, _) => Some(MemoryGoal::MemoryMode),
            (true, 0) if interleaved && sets == 1 => Some(MemoryGoal::AppDirectInterleaved),
            (true, _) => None,
        },
        refused: refused.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_report_wrongly_are_refused() {
        for bad in BAD_VERSIONS {
            assert_eq!(refuse_bad(bad).map_err(|error| error.code()), Err(2), "{bad}");
        }
        refuse_bad("03.00.00.0468").expect("good");
    }

    #[test]
    fn numbers_of_the_library_have_their_meaning_r90_t4() {
        let mut found =
            sys::region { isetId: 7, type_: 1, capacity: 9, health: 1, ..Default::default() };
        found.socket_id = 1;
        found.dimm_count = 2;
        found.dimms[0] = 0x1c;
        found.dimms[1] = 0x28;
        let seen = region(&found);
        assert_eq!((seen.iset_id, seen.socket, seen.memory), (7, 1, VendorMemory::Persistent));
        assert_eq!((seen.health, seen.module_ids), (RegionHealth::Normal, vec![28, 40]));
        found.type_ = 2;
        found.health = 5;
        found.socket_id = -1;
        let seen = region(&found);
        assert_eq!(
            (seen.memory, seen.health, seen.socket),
            (VendorMemory::Volatile, RegionHealth::Locked, 0)
        );
        for unknown in [0, 3, 77] {
            found.type_ = unknown;
            assert_eq!(region(&found).memory, VendorMemory::Unknown, "type {unknown}");
        }

        let mut device =
            sys::device_discovery { physical_id: 28, capacity: 1 << 39, ..Default::default() };
        device.uid[0] = b'8' as std::ffi::c_char;
        let seen = module(&device, 1);
        assert_eq!((seen.physical_id, seen.capacity, seen.uid.as_str()), (28, 1 << 39, "8"));
        assert_eq!(seen.health, "Healthy");
    }

    #[test]
    fn a_goal_is_what_the_next_reboot_makes_r136() {
        let mut goal = sys::config_goal { status: 2, socket_id: 1, ..Default::default() };
        assert_eq!(pending(&goal), None, "a goal without any size is none");
        goal.status = 5;
        let refused = pending(&goal).expect("told, since the platform refused it");
        assert_eq!((refused.goal, refused.refused.is_some()), (None, true));
        goal.status = 2;
        goal.volatile_size = 128;
        assert_eq!(pending(&goal).and_then(|goal| goal.goal), Some(MemoryGoal::MemoryMode));
        goal.volatile_size = 0;
        goal.persistent_regions = 1;
        goal.appdirect_size[0] = 126;
        goal.interleave_set_type[0] = 1;
        let one = pending(&goal).expect("a goal");
        assert_eq!(one.goal, Some(MemoryGoal::AppDirectInterleaved));
        assert_eq!(one.refused, None);
        goal.interleave_set_type[0] = 2;
        assert_eq!(pending(&goal).expect("a goal").goal, None, "not interleaved is not ours");
        goal.status = 4;
        assert_eq!(
            pending(&goal).expect("a goal").refused.as_deref(),
            Some("not enough resources")
        );
        goal.status = 0;
        assert_eq!(pending(&goal), None, "applied");
    }

    /// The library that this host has, if it has one: it answers, or says that we may not ask.
    #[tokio::test]
    async fn a_library_that_is_there_tells_its_version_and_what_it_sees() {
        let version = Ipmctl.version().await;
        let Some(number) = &version.version else {
            daos_blockdev::testing::skipped("ipmctl", LIBIPMCTL);
            return;
        };
        assert!(number.split('.').count() == 4, "{version}");
        match Ipmctl.look().await {
            Ok(view) => assert_eq!(view.version, *number),
            Err(error) => assert!([2, 1460].contains(&error.code()), "{error}"),
        }
    }
}
