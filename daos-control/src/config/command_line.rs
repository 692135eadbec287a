//! What `daos_server start` was told on the command line, as the topmost layer (R26).

use std::collections::BTreeSet;

use super::raw::{RawConfig, RawEngine, RawTransport};

/// Options that override keys of the file. Nothing is overridden by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// `-p`: `port`; 0 means not given.
    pub port: Option<u16>,
    /// `-s`: `scm_mount` of the first engine; deprecated.
    pub storage: Option<String>,
    /// `-m`: `modules` of all engines.
    pub modules: Option<String>,
    /// `-t`: `targets` of all engines; 0 means not given.
    pub targets: Option<u32>,
    /// `-x`: `nr_xs_helpers` of all engines; 0 is a number like any other (E11).
    pub helper_streams: Option<u32>,
    /// `-f`: `first_core` of all engines; 0 means not given.
    pub first_core: Option<u32>,
    /// `-g`: `name`.
    pub group: Option<String>,
    /// `-d`: `socket_dir`.
    pub socket_dir: Option<String>,
    /// `-i`: no certificates. Without it the file decides.
    pub insecure: bool,
    /// `--recreate-superblocks`. Without it the file decides (W19).
    pub recreate_superblocks: bool,
}

/// The keys that the command line sets.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Overrides {
    /// Nothing but overridden keys; an engine list is whole, since lists are replaced.
    pub(super) layer: RawConfig,
    /// Paths of the overridden keys.
    pub(super) keys: BTreeSet<String>,
}

impl CommandLine {
    /// The layer to put over `file`.
    pub(super) fn over(&self, file: &RawConfig) -> Overrides {
        let mut overrides = Overrides::default();
        let Overrides { layer, keys } = &mut overrides;
        layer.port = self.port.filter(|port| *port != 0).map(i64::from);
        layer.modules.clone_from(&self.modules);
        layer.name.clone_from(&self.group);
        layer.socket_dir.clone_from(&self.socket_dir);
        layer.recreate_superblocks = self.recreate_superblocks.then_some(true);
        layer.transport_config = self
            .insecure
            .then(|| RawTransport { allow_insecure: Some(true), ..RawTransport::default() });
        let written = [
            ("port", layer.port.is_some()),
            ("modules", layer.modules.is_some()),
            ("name", layer.name.is_some()),
            ("socket_dir", layer.socket_dir.is_some()),
            ("recreate_superblocks", self.recreate_superblocks),
            ("transport_config.allow_insecure", self.insecure),
        ];
        keys.extend(written.iter().filter(|(_, given)| *given).map(|(key, _)| (*key).to_owned()));
        for (key, list, target) in [
            ("engines", &file.engines, &mut layer.engines),
            ("servers", &file.servers, &mut layer.servers),
        ] {
            if let Some(engines) = list {
                *target = self.over_engines(key, engines, keys);
            }
        }
        overrides
    }

    fn over_engines(
        &self,
        list: &str,
        engines: &[RawEngine],
        keys: &mut BTreeSet<String>,
    ) -> Option<Vec<RawEngine>> {
        let before = keys.len();
        let mut engines = engines.to_vec();
        for (index, engine) in engines.iter_mut().enumerate() {
            let path = format!("{list}[{index}]");
            let mut set = |key: &str, target: &mut Option<i64>, value: Option<u32>| {
                if let Some(value) = value {
                    *target = Some(i64::from(value));
                    keys.insert(format!("{path}.{key}"));
                }
            };
            set("targets", &mut engine.targets, self.targets.filter(|count| *count != 0));
            set("nr_xs_helpers", &mut engine.nr_xs_helpers, self.helper_streams);
            set("first_core", &mut engine.first_core, self.first_core.filter(|core| *core != 0));
        }
        if let (Some(mount), Some(first)) = (&self.storage, engines.first_mut()) {
            keys.insert(set_scm_mount(list, first, mount));
        }
        (keys.len() > before).then_some(engines)
    }
}

/// Sets the mount point where the engine's generation keeps it; returns the key's path.
fn set_scm_mount(list: &str, engine: &mut RawEngine, mount: &str) -> String {
    match engine.storage.as_mut().and_then(|tiers| tiers.first_mut()) {
        Some(tier) => {
            tier.scm_mount = Some(mount.to_owned());
            format!("{list}[0].storage[0].scm_mount")
        }
        None => {
            engine.scm_mount = Some(mount.to_owned());
            format!("{list}[0].scm_mount")
        }
    }
}
