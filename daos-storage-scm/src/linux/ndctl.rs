//! Namespaces through `ndctl`: its list in JSON, and the few commands that change something. Where it is not
//! installed the bus is read instead, and nothing can be changed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use daos_blockdev::{BlockdevError, Content, DeviceUse, ExclusiveClaim, inspect, inspect_uses};
use serde::Deserialize;

use super::nd;
use super::run::Runner;
use crate::ScmError;
use crate::blocking::blocking;
use crate::model::{Labels, NamespaceFacts, NamespaceMode, NamespaceUse};
use crate::pmem::{BusRegion, BusView, Dimm, NamespaceTool, ToolVersion};

const NDCTL: &str = "ndctl";

/// State of a region or namespace that no driver has.
const DISABLED: &str = "disabled";

/// ndctl, and the bus that it works on.
#[derive(Debug, Clone)]
pub(super) struct Ndctl {
    pub(super) runner: Runner,
    pub(super) sysfs: PathBuf,
}

impl Ndctl {
    async fn run(&self, subject: &str, arguments: &[&str]) -> Result<String, ScmError> {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        self.runner.run(NDCTL, &arguments, Path::new(subject)).await
    }

    fn installed(&self) -> Result<PathBuf, ScmError> {
        self.runner.find(NDCTL, Path::new("persistent memory"))
    }
}

#[async_trait]
impl NamespaceTool for Ndctl {
    async fn look(&self) -> Result<BusView, ScmError> {
        let sysfs = self.sysfs.clone();
        let view = blocking(move || nd::bus_view(&sysfs)).await?;
        if view == BusView::default() || self.installed().is_err() {
            return Ok(view);
        }
        let text = self.run("persistent memory", &["list", "-BNRDi", "-v"]).await?;
        let mut view = parse(&text)?;
        for region in &mut view.regions {
            // What ndctl does not tell, or only where the kernel knows it.
            region.labels = nd::labels(&self.sysfs, &region.name);
            region.numa_node = nd::node_of(&self.sysfs, &region.name);
            for space in &mut region.namespaces {
                space.numa_node = nd::node_of(&self.sysfs, &space.name);
            }
        }
        Ok(view)
    }

    async fn uses(&self, blockdev: &str) -> Result<NamespaceUse, ScmError> {
        let path = Path::new("/dev").join(blockdev);
        blocking(move || look_at(&path)).await
    }

    async fn require(&self) -> Result<(), ScmError> {
        self.installed().map(drop)
    }

    async fn enable_region(&self, region: &str) -> Result<(), ScmError> {
        self.run(region, &["enable-region", region]).await.map(drop)
    }

    async fn create(&self, region: &str, size_bytes: u64) -> Result<(), ScmError> {
        let size = size_bytes.to_string();
        let words = ["create-namespace", "--mode", "fsdax", "--region", region, "--size", &size];
        self.run(region, &words).await.map(drop)
    }

    async fn wipe(&self, blockdev: &str) -> Result<(), ScmError> {
        let path = Path::new("/dev").join(blockdev);
        blocking(move || {
            let claim = ExclusiveClaim::take(&daos_blockdev::identify(&path)?)?;
            Ok(claim.erase()?)
        })
        .await
    }

    async fn destroy(&self, name: &str, blockdev: &str) -> Result<(), ScmError> {
        // A file system that outlived its namespace would be found in the next one and taken for formatted.
        self.wipe(blockdev).await?;
        // ndctl takes the same claim before it disables.
        self.run(name, &["disable-namespace", name]).await?;
        self.run(name, &["destroy-namespace", name]).await.map(drop)
    }

    async fn initialise_labels(&self, region: &str, dimms: &[String]) -> Result<(), ScmError> {
        let with = |command: &'static str, options: &'static [&'static str]| {
            let dimms = dimms.iter().map(String::as_str);
            [command].into_iter().chain(options.iter().copied()).chain(dimms).collect::<Vec<_>>()
        };
        self.run(region, &["disable-region", region]).await?;
        let written = async {
            self.run(region, &with("zero-labels", &[])).await?;
            self.run(region, &with("init-labels", &["-f"])).await
        }
        .await;
        // Whatever came of it, the region is given back. Where we end before that, the next look finds it disabled.
        let enabled = self.enable_region(region).await;
        written?;
        enabled
    }

    async fn version(&self) -> ToolVersion {
        let version = match self.installed() {
            Ok(_) => self.run("persistent memory", &["--version"]).await.ok(),
            Err(_) => None,
        };
        let version = version.map(|text| text.trim().to_owned());
        ToolVersion { tool: NDCTL, version, problem: None }
    }
}

/// Uses and contents; where the medium fails, uses alone.
fn look_at(device: &Path) -> Result<NamespaceUse, ScmError> {
    let mut found = NamespaceUse::default();
    let uses = match inspect(device) {
        Ok(seen) => {
            found.content = (seen.content != Content::Blank).then(|| seen.content.to_string());
            seen.uses
        }
        Err(error @ (BlockdevError::Io { .. } | BlockdevError::ToolFailed { .. })) => {
            found.unread = Some(crate::error::with_cause(&error.into()));
            inspect_uses(device)?.1
        }
        Err(error) => return Err(error.into()),
    };
    for each in &uses {
        match each {
            DeviceUse::MountedHere { mount_point } => {
                found.mounted.push(mount_point.display().to_string());
            }
            DeviceUse::MountedInOtherNamespace { pid, mount_point } => found
                .mounted
                .push(format!("{} (mount namespace of pid {pid})", mount_point.display())),
            other => found.held.push(other.to_string()),
        }
    }
    Ok(found)
}

/// `ndctl list -BNRDi -v`: a list of buses, one bus, or nothing at all (E17).
fn parse(text: &str) -> Result<BusView, ScmError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(BusView::default());
    }
    let read = |error: serde_json::Error| ScmError::ToolOutput {
        tool: "ndctl list".to_owned(),
        why: error.to_string(),
    };
    let buses: Vec<Bus> = match text.starts_with('{') {
        true => vec![serde_json::from_str(text).map_err(read)?],
        false => serde_json::from_str(text).map_err(read)?,
    };
    let mut view = BusView::default();
    for bus in buses {
        view.dimms.extend(bus.dimms.into_iter().map(dimm));
        for region in bus.regions {
            view.regions.push(self::region(region)?);
        }
    }
    view.dimms.sort_by(|a, b| a.name.cmp(&b.name));
    view.regions.sort_by_key(|region| region.id);
    Ok(view)
}

#[derive(Debug, Deserialize)]
struct Bus {
    #[serde(default)]
    dimms: Vec<RawDimm>,
    #[serde(default)]
    regions: Vec<RawRegion>,
}

#[derive(Debug, Deserialize)]
struct RawDimm {
    dev: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    handle: u32,
    #[serde(default)]
    phys_id: u32,
}

#[derive(Debug, Deserialize)]
struct RawRegion {
    dev: String,
    size: u64,
    #[serde(default)]
    align: u64,
    #[serde(default)]
    available_size: u64,
    /// `disabled`; absent when it is enabled.
    state: Option<String>,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    iset_id: Signed,
    #[serde(default)]
    mappings: Vec<RawMapping>,
    #[serde(default)]
    namespaces: Vec<RawNamespace>,
}

/// 64 bits that some versions print as a negative number.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(from = "i128")]
struct Signed(u64);

impl From<i128> for Signed {
    fn from(number: i128) -> Self {
        let bits = number.rem_euclid(1 << 64);
        Self(u64::try_from(bits).unwrap_or(0))
    }
}

#[derive(Debug, Deserialize)]
struct RawMapping {
    dimm: String,
    #[serde(default)]
    length: u64,
}

#[derive(Debug, Deserialize)]
struct RawNamespace {
    dev: String,
    #[serde(default)]
    mode: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    uuid: String,
    blockdev: Option<String>,
    /// `disabled`; absent when it is enabled.
    state: Option<String>,
}

fn dimm(raw: RawDimm) -> Dimm {
    Dimm {
        managed: nd::is_managed(&raw.id),
        name: raw.dev,
        id: raw.id,
        physical_id: raw.phys_id,
        handle: raw.handle,
    }
}

fn region(raw: RawRegion) -> Result<BusRegion, ScmError> {
    let number = raw.dev.strip_prefix("region").and_then(|number| number.parse().ok());
    let id = number.ok_or_else(|| ScmError::ToolOutput {
        tool: "ndctl list".to_owned(),
        why: format!("a region of the name '{}'", raw.dev),
    })?;
    let mut namespaces: Vec<NamespaceFacts> =
        raw.namespaces.into_iter().filter(|space| space.size > 0).map(namespace).collect();
    namespaces.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(BusRegion {
        id,
        name: raw.dev,
        size: raw.size,
        available: raw.available_size,
        align: raw.align,
        persistent: raw.kind == "pmem",
        iset_id: raw.iset_id.0,
        numa_node: 0,
        disabled: raw.state.as_deref() == Some(DISABLED),
        labels: Labels::Ready,
        mappings: raw.mappings.into_iter().map(|each| (each.dimm, each.length)).collect(),
        namespaces,
    })
}

fn namespace(raw: RawNamespace) -> NamespaceFacts {
    let disabled = raw.state.as_deref() == Some(DISABLED);
    NamespaceFacts {
        name: raw.dev,
        uuid: raw.uuid,
        // ndctl calls every disabled one raw, whatever it is.
        mode: if disabled { NamespaceMode::Unknown } else { NamespaceMode::of(&raw.mode) },
        disabled,
        size: raw.size,
        blockdev: raw.blockdev.filter(|_| !disabled),
        numa_node: 0,
        used: NamespaceUse::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = r#"[
      {"provider":"ACPI.NFIT","dev":"ndbus0",
       "dimms":[{"dev":"nmem1","id":"8680-57341200","handle":2,"phys_id":1},
                {"dev":"nmem0","id":"8089-a2-1748-00000001","handle":4097,"phys_id":28}],
       "regions":[
         {"dev":"region1","size":268435456,"align":16777216,"available_size":0,
          "max_available_extent":0,"type":"pmem","iset_id":-1,
          "mappings":[{"dimm":"nmem1","offset":0,"length":268435456,"position":0}],
          "namespaces":[
            {"dev":"namespace1.1","size":0,"uuid":"","state":"disabled"},
            {"dev":"namespace1.0","mode":"fsdax","map":"dev","size":262144000,
             "uuid":"e2a9f0d1-0000-4000-8000-000000000001","blockdev":"pmem1"}]},
         {"dev":"region0","size":268435456,"available_size":134217728,"type":"pmem","state":"disabled",
          "iset_id":52512752653219036,"namespaces":[
            {"dev":"namespace0.0","mode":"fsdax","size":1024,"uuid":"u","state":"disabled","blockdev":"pmem0"}]}
       ]}]"#;

    #[test]
    fn a_list_of_ndctl_is_read() {
        let view = parse(TWO).expect("a view");
        let [first, second] = view.regions.as_slice() else { panic!("{view:?}") };
        assert_eq!(
            (first.name.as_str(), first.available, first.iset_id),
            ("region0", 128 << 20, 52_512_752_653_219_036)
        );
        assert_eq!(second.iset_id, u64::MAX, "all bits");
        assert_eq!((second.align, second.mappings.len()), (16 << 20, 1));
        assert_eq!(second.namespaces.len(), 1, "a seed is none");
        assert_eq!(second.namespaces[0].blockdev.as_deref(), Some("pmem1"));
        assert_eq!(second.namespaces[0].mode, NamespaceMode::Fsdax);
        let space = &first.namespaces[0];
        assert_eq!((space.disabled, space.blockdev.as_deref()), (true, None));
        assert_eq!(space.mode, NamespaceMode::Unknown, "not what ndctl calls it");
        assert_eq!((first.disabled, second.disabled), (true, false));
        assert_eq!(view.dimms.iter().map(|dimm| dimm.managed).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn one_object_nothing_and_nonsense_e17() {
        let one = TWO.trim().trim_start_matches('[').trim_end_matches(']');
        assert_eq!(parse(one).expect("one bus").regions.len(), 2);
        assert_eq!(parse(" \n").expect("nothing"), BusView::default());
        for bad in
            ["[{\"regions\":3}]", "no bus", "[{\"regions\":[{\"dev\":\"pool1\",\"size\":1}]}]"]
        {
            assert_eq!(parse(bad).map_err(|error| error.code()), Err(1461), "{bad}");
        }
    }
}
