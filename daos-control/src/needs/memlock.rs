//! Memory that an engine may lock: VFIO locks all that a device may reach, in the name of the process that has the device.
//!
//! `needed` is pure; `raise` changes the limit of this process, which engines inherit. Preflight compares the two.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::needed_pages;
use crate::config::{HostMemory, ServerConfig, sizing};

/// What an engine locks beside its memory for DMA, bytes (seed 2.7).
const BESIDE_DMA: u64 = 64 << 20;

/// Bytes that the largest engine with NVMe locks: the limit is one for each process, not one for all. 64 MiB without engines.
#[must_use]
pub fn needed(config: Option<&ServerConfig>, cores: u32, memory: &HostMemory) -> u64 {
    let page_mib = memory.hugepage_mib();
    let engines = config.iter().flat_map(|config| {
        // With `set_hugepages` it is a share of what is free when the engine starts: at most all that will be there.
        let pages = needed_pages(config, cores, page_mib).max(memory.hugepages_total);
        let free_mib = pages.saturating_mul(page_mib.into());
        let with_nvme = config.engines.iter().filter(|engine| engine.has_nvme());
        with_nvme.map(move |engine| sizing::dma_mib(config, engine, cores, free_mib))
    });
    engines.max().unwrap_or(0).saturating_mul(1 << 20).saturating_add(BESIDE_DMA)
}

/// Raises the limit of this process as far as it may, and gives what it is then.
#[must_use]
pub fn raise() -> Option<u64> {
    let before = getrlimit(Resource::Memlock);
    // Without a privilege only the part below the hard limit can be had. Either may fail, and what is so then is read back.
    let wishes = [
        Rlimit { current: None, maximum: None },
        Rlimit { current: before.maximum, maximum: before.maximum },
    ];
    for wish in wishes {
        if setrlimit(Resource::Memlock, wish).is_ok() {
            break;
        }
    }
    getrlimit(Resource::Memlock).current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_engine_locks_its_own_memory() {
        let engines: String = (0..2)
            .map(|index| {
                format!(
                    "- {{fabric_iface: lo, fabric_iface_port: {}, targets: 4, storage: [{{class: ram, scm_mount: /mnt/d{index}}}, \
                     {{class: nvme, bdev_list: [\"0000:8{index}:00.0\"]}}]}}\n",
                    31416 + 1000 * index
                )
            })
            .collect();
        let text = format!("provider: ofi+tcp\nengines:\n{engines}");
        let mut config = crate::config::testing::config(&text);
        let memory =
            HostMemory { hugepage: 2 << 20, hugepages_total: 8192, ..HostMemory::default() };
        let mib = |config: &ServerConfig| needed(Some(config), 16, &memory) >> 20;
        assert_eq!(mib(&config), 4096 + 64);
        assert_eq!(needed(None, 16, &memory), 64 << 20);
        config.hugepages.share_free = true;
        assert_eq!(mib(&config), 8192 - 512 + 64, "half of 16 GiB, less a sixteenth");
    }

    #[test]
    fn what_can_be_raised_is_raised() {
        let hard = getrlimit(Resource::Memlock).maximum;
        let raised = raise();
        assert_eq!(raised, getrlimit(Resource::Memlock).current);
        // At least all that was allowed before; as root everything.
        assert!(raised.is_none() || raised >= hard, "{raised:?} {hard:?}");
    }
}
