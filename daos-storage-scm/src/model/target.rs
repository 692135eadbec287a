//! What an engine is configured to use as SCM: where, of which class, for whom.
//!
//! Owns the checks of parameters that need no look at the host (R63, R127). A [`ScmTarget`] that exists is valid.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::ScmError;

/// Loose parameters as a configuration gives them, before they are checked.
#[derive(Debug, Clone, Default)]
pub struct ScmParams {
    /// Index of the engine on this host, from 0.
    pub engine_index: u32,
    /// `scm_mount`.
    pub mount_point: PathBuf,
    /// Given for class ram.
    pub ram: Option<RamSpec>,
    /// Given for class dcpm: `scm_list`.
    pub devices: Option<Vec<PathBuf>>,
    /// Who shall own the root of the mount; `None` is the user that runs this process (R129).
    pub owner: Option<Owner>,
}

/// The SCM of one engine.
///
/// The mount point is absolute, is UTF-8 and has neither `.` nor `..` in it; the class has its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScmTarget {
    engine_index: u32,
    mount_point: PathBuf,
    class: ScmClass,
    owner: Owner,
}

/// What stands behind the mount point (R62).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ScmClass {
    /// Memory of the host: a tmpfs, or a directory on one. Gone after a reboot.
    Ram(RamSpec),
    /// A block device of persistent memory, formatted with ext4 and mounted with direct access.
    Dcpm(DcpmSpec),
}

/// Parameters of class ram (contract 7.3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RamSpec {
    /// Size in bytes, more than 0; `None` leaves it to the kernel (half of the memory).
    pub size_bytes: Option<u64>,
    /// NUMA node to prefer; ignored where the host has one node or lacks this one.
    pub numa: Option<u32>,
    /// Whether to back it with transparent huge pages (`huge=always`) where the kernel can.
    pub hugepages: bool,
    /// Which form to take.
    pub form: RamForm,
}

/// The two forms of class ram, and the choice between them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RamForm {
    /// A tmpfs of its own where this process may mount, else a directory on an existing tmpfs.
    /// A directory on a tmpfs that is in use stays one.
    #[default]
    Auto,
    /// A tmpfs of its own or nothing.
    Tmpfs,
    /// A directory on an existing tmpfs or nothing; never mounts.
    Directory,
}

/// Parameters of class dcpm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DcpmSpec {
    /// The block device, e.g. `/dev/pmem0`.
    pub device: PathBuf,
}

/// Numeric owner of the root of the mount (R129).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Owner {
    /// The effective user and group of this process.
    #[must_use]
    pub fn current() -> Self {
        Self { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
    }
}

impl ScmTarget {
    /// Checks `params` in the order of R127: mount point, both classes, neither, RAM size, device count.
    ///
    /// # Errors
    /// [`ScmError`] 203, 206, 205, 201 or 202.
    pub fn from_params(params: ScmParams) -> Result<Self, ScmError> {
        let engine = params.engine_index;
        check_path(&params.mount_point).map_err(|why| ScmError::NoMountPoint { engine, why })?;
        let class = match (params.ram, params.devices) {
            (Some(_), Some(_)) => return Err(ScmError::BothClasses { engine }),
            (None, None) => return Err(ScmError::NoClass { engine }),
            (Some(RamSpec { size_bytes: Some(0), .. }), None) => {
                return Err(ScmError::RamSizeZero { engine });
            }
            (Some(ram), None) => ScmClass::Ram(ram),
            (None, Some(devices)) => ScmClass::Dcpm(one_device(engine, devices)?),
        };
        let owner = params.owner.unwrap_or_else(Owner::current);
        Ok(Self { engine_index: engine, mount_point: params.mount_point, class, owner })
    }

    /// Index of the engine on this host, from 0.
    #[must_use]
    pub fn engine_index(&self) -> u32 {
        self.engine_index
    }

    /// Where the engine finds its SCM.
    #[must_use]
    pub fn mount_point(&self) -> &Path {
        &self.mount_point
    }

    /// What stands behind the mount point.
    #[must_use]
    pub fn class(&self) -> &ScmClass {
        &self.class
    }

    /// Who shall own the root of the mount.
    #[must_use]
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// Parameters of class ram, if it is that.
    #[must_use]
    pub fn ram(&self) -> Option<&RamSpec> {
        match &self.class {
            ScmClass::Ram(ram) => Some(ram),
            ScmClass::Dcpm(_) => None,
        }
    }

    /// The device of class dcpm, if it is that.
    #[must_use]
    pub fn device(&self) -> Option<&Path> {
        match &self.class {
            ScmClass::Ram(_) => None,
            ScmClass::Dcpm(dcpm) => Some(&dcpm.device),
        }
    }
}

fn one_device(engine: u32, devices: Vec<PathBuf>) -> Result<DcpmSpec, ScmError> {
    let count = devices.iter().filter(|path| check_path(path).is_ok()).count();
    match <[PathBuf; 1]>::try_from(devices) {
        Ok([device]) if count == 1 => Ok(DcpmSpec { device }),
        Ok(_) => Err(ScmError::DeviceCount { engine, count }),
        Err(devices) => Err(ScmError::DeviceCount { engine, count: devices.len() }),
    }
}

fn check_path(path: &Path) -> Result<(), String> {
    if path.as_os_str().is_empty() {
        return Err("it is empty".to_owned());
    }
    let Some(text) = path.to_str() else {
        return Err(format!("{} is not UTF-8", path.display()));
    };
    if text.contains('\0') {
        return Err("it has a zero byte".to_owned());
    }
    if !path.is_absolute() {
        return Err(format!("{text} is not absolute"));
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(format!("{text} has .. in it"));
    }
    if path.file_name().is_none() {
        return Err("it is the root directory".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn ram(size_bytes: Option<u64>) -> Option<RamSpec> {
        Some(RamSpec { size_bytes, ..RamSpec::default() })
    }

    fn devices(paths: &[&str]) -> Option<Vec<PathBuf>> {
        Some(paths.iter().map(PathBuf::from).collect())
    }

    // R127: each check has its number, and an earlier one wins over a later one.
    #[rstest]
    #[case::no_mount_point("", None, None, 203)]
    #[case::mount_point_first("", ram(Some(0)), devices(&[]), 203)]
    #[case::relative("mnt", ram(Some(1)), None, 203)]
    #[case::dotted("/mnt/../etc", ram(Some(1)), None, 203)]
    #[case::root("/", ram(Some(1)), None, 203)]
    #[case::both("/mnt", ram(Some(0)), devices(&["/dev/pmem0"]), 206)]
    #[case::neither("/mnt", None, None, 205)]
    #[case::size_zero("/mnt", ram(Some(0)), None, 201)]
    #[case::no_device("/mnt", None, devices(&[]), 202)]
    #[case::empty_device("/mnt", None, devices(&[""]), 202)]
    #[case::two_devices("/mnt", None, devices(&["/dev/pmem0", "/dev/pmem1"]), 202)]
    fn bad_parameters_are_refused_in_the_order_of_r127(
        #[case] mount_point: &str,
        #[case] ram: Option<RamSpec>,
        #[case] devices: Option<Vec<PathBuf>>,
        #[case] code: i32,
    ) {
        let params =
            ScmParams { mount_point: mount_point.into(), ram, devices, ..ScmParams::default() };
        assert_eq!(ScmTarget::from_params(params).map_err(|error| error.code()), Err(code));
    }

    #[test]
    fn good_parameters_of_both_classes_are_taken_r63() {
        let target = ScmTarget::from_params(ScmParams {
            engine_index: 1,
            mount_point: "/mnt/daos1".into(),
            devices: devices(&["/dev/pmem1"]),
            ..ScmParams::default()
        });
        let target = target.expect("valid");
        assert_eq!(target.engine_index(), 1);
        assert_eq!(target.device(), Some(Path::new("/dev/pmem1")));
        assert_eq!(target.owner(), Owner::current());
        let auto_size =
            ScmParams { mount_point: "/mnt/daos0".into(), ram: ram(None), ..ScmParams::default() };
        assert!(ScmTarget::from_params(auto_size).is_ok());
    }
}
