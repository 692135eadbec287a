//! The arguments of an engine, in the order of contract 4.1.
//!
//! Called when an engine is about to be started. Everything that is not configuration comes in as [`Launch`].

use std::ffi::OsString;
use std::path::PathBuf;

use crate::config::{EngineConfig, ServerConfig};

/// What is known only at the start of an engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Launch {
    /// Path of the generated device configuration; none without block devices.
    pub device_config: Option<PathBuf>,
    /// Memory the engine may use for DMA, MiB (contract 5.7); 0 without block devices.
    pub dma_mib: u64,
    /// Size of the system's huge pages, MiB; 0 without block devices.
    pub hugepage_mib: u32,
    /// Core and NUMA node after [`placement`](super::placement()) of all engines.
    pub first_core: Option<u32>,
    /// See `first_core`.
    pub numa_node: Option<u32>,
    /// Start the checker instead of serving.
    pub checker: bool,
}

/// The arguments after the program's name. The rank is not among them: it travels over dRPC.
#[must_use]
pub fn argv(server: &ServerConfig, engine: &EngineConfig, launch: &Launch) -> Vec<OsString> {
    let mut argv = Arguments(Vec::new());
    if !server.modules.is_empty() {
        argv.pair("-m", &server.modules);
    }
    if engine.targets != 0 {
        argv.pair("-t", engine.targets.to_string());
    }
    argv.pair("-x", engine.helper_streams.to_string());
    if let Some(core) = launch.first_core {
        argv.pair("-f", core.to_string());
    }
    argv.pair("-g", &server.name);
    argv.pair("-d", &server.socket_dir);
    argv.pair("-T", (1 + engine.bdevs.len()).to_string());
    if let (true, Some(path)) = (engine.has_bdevs(), &launch.device_config) {
        argv.pair("-n", path);
    }
    if engine.bypass_health_check {
        argv.flag("-b");
    }
    if let Some(node) = launch.numa_node {
        argv.pair("-p", node.to_string());
    }
    argv.pair("-I", engine.index.to_string());
    argv.pair("-r", launch.dma_mib.to_string());
    argv.pair("-H", launch.hugepage_mib.to_string());
    if launch.checker {
        argv.flag("-C");
    }
    argv.pair("-s", engine.scm.mount());
    argv.0
}

struct Arguments(Vec<OsString>);

impl Arguments {
    fn flag(&mut self, flag: &str) {
        self.0.push(flag.into());
    }

    fn pair(&mut self, flag: &str, value: impl Into<OsString>) {
        self.flag(flag);
        self.0.push(value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::{Launch, argv};
    use crate::config::testing::config;

    fn words(argv: &[OsString]) -> String {
        argv.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn contract_4_1_order_and_conditions() {
        let full = config(
            "modules: vos,rdb\nname: sys\nsocket_dir: /run/d\nprovider: ofi+tcp\nengines:\n\
             - {targets: 4, nr_xs_helpers: 2, fabric_iface: lo, fabric_iface_port: 31416, \
             bypass_health_chk: true, storage: [{class: ram, scm_mount: /mnt/d}, \
             {class: file, bdev_list: [/tmp/a], bdev_size: 1}]}\n",
        );
        let launch = Launch {
            device_config: Some("/mnt/d/daos_nvme.conf".into()),
            dma_mib: 4096,
            hugepage_mib: 2,
            first_core: Some(0),
            numa_node: Some(1),
            checker: true,
        };
        assert_eq!(
            words(&argv(&full, &full.engines[0], &launch)),
            "-m vos,rdb -t 4 -x 2 -f 0 -g sys -d /run/d -T 2 -n /mnt/d/daos_nvme.conf -b -p 1 -I 0 \
             -r 4096 -H 2 -C -s /mnt/d"
        );
    }

    #[test]
    fn r61_without_block_devices_there_is_no_device_config() {
        let scm_only = config(
            "provider: ofi+tcp\nservers:\n- {fabric_iface: lo, fabric_iface_port: 31416, \
             scm_class: ram, scm_mount: /mnt/d, scm_size: 4, bdev_list: []}\n",
        );
        let launch = Launch { device_config: Some("/x".into()), ..Launch::default() };
        assert_eq!(
            words(&argv(&scm_only, &scm_only.engines[0], &launch)),
            "-x 0 -g daos_server -d /var/run/daos_server -T 1 -I 0 -r 0 -H 0 -s /mnt/d"
        );
    }
}
