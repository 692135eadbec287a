//! How much memory and how many huge pages engines need (contract 5.7, R170).
//!
//! Pure arithmetic over the validated configuration. Called by the check against the host and when an engine
//! is about to be started.

use super::model::{EngineConfig, ServerConfig};

/// Memory per target for DMA, MiB.
const DMA_PER_TARGET_MIB: u64 = 1024;
/// Huge pages for finding devices when no engine has any.
const PAGES_FOR_DISCOVERY: u64 = 128;
/// Smallest RAM tier of a real engine, GiB.
pub(crate) const MIN_RAM_TIER_GIB: u64 = 4;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Targets of an engine: as configured, else one per core.
#[must_use]
pub fn targets(engine: &EngineConfig, cores: u32) -> u32 {
    if engine.targets == 0 { cores.max(1) } else { engine.targets }
}

/// Huge pages that all engines need together.
#[must_use]
pub fn least_hugepages(config: &ServerConfig, cores: u32, hugepage_mib: u32) -> u64 {
    let with_bdevs: Vec<_> = config.engines.iter().filter(|engine| engine.has_bdevs()).collect();
    if with_bdevs.is_empty() {
        return u64::from(config.hugepages.count).max(PAGES_FOR_DISCOVERY);
    }
    let shares = with_bdevs.iter().map(|engine| {
        let targets = u64::from(targets(engine, cores));
        targets + u64::from(engine.has_roles() || targets == 1)
    });
    sum(shares).saturating_mul(DMA_PER_TARGET_MIB) / u64::from(hugepage_mib.max(1))
}

/// Memory an engine may use for DMA (`-r`), MiB; 0 without block devices.
///
/// `free_mib` is what all free huge pages hold together; it counts with `set_hugepages` only, where every
/// engine gets its share less a sixteenth (R170).
#[must_use]
pub fn dma_mib(config: &ServerConfig, engine: &EngineConfig, cores: u32, free_mib: u64) -> u64 {
    if config.hugepages.share_free {
        let share = free_mib / config.engines.len().max(1) as u64;
        return share - share / 16;
    }
    if !engine.has_bdevs() {
        return 0;
    }
    u64::from(targets(engine, cores)) * DMA_PER_TARGET_MIB
}

/// Memory of the host that each RAM tier may take, GiB, rounded down; 0 when there is none left.
#[must_use]
pub fn largest_ram_tier_gib(config: &ServerConfig, cores: u32, memory: &super::HostMemory) -> u64 {
    let engines = config.engines.len() as u64;
    if engines == 0 {
        return 0;
    }
    let reserves =
        config.engines.iter().map(|engine| GIB.max(128 * MIB * u64::from(targets(engine, cores))));
    let system = u64::from(config.system_ram_reserved_gib) * GIB;
    let taken = sum(reserves.chain([hugepage_bytes(config, cores, memory), system]));
    memory.total.saturating_sub(taken) / engines / GIB
}

fn sum(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}

/// What huge pages will take: those that are needed or configured, and never fewer than there are.
fn hugepage_bytes(config: &ServerConfig, cores: u32, memory: &super::HostMemory) -> u64 {
    if config.hugepages.disabled {
        return 0;
    }
    let pages = match config.hugepages.count {
        0 => least_hugepages(config, cores, memory.hugepage_mib()),
        count => u64::from(count),
    };
    pages.max(memory.hugepages_total).saturating_mul(memory.hugepage)
}

/// Whether enough memory is free to fill RAM tiers of this many bytes together: nine tenths of them.
#[must_use]
pub fn has_memory_for(ram_tiers: u64, memory: &super::HostMemory) -> bool {
    memory.available >= ram_tiers / 10 * 9
}

#[cfg(test)]
mod tests {
    use super::{dma_mib, has_memory_for, largest_ram_tier_gib, least_hugepages};
    use crate::config::HostMemory;
    use crate::config::testing::config;

    const GIB: u64 = 1 << 30;

    fn two_engines(keys: &str, engine: &str) -> crate::config::ServerConfig {
        let entry = |index: u32| {
            format!(
                "- {{{engine}, fabric_iface_port: {}, storage: [{{class: ram, scm_mount: /mnt/d{index}}}, \
                 {{class: file, bdev_list: [/tmp/{index}], bdev_size: 1}}]}}\n",
                31416 + index
            )
        };
        config(&format!(
            "provider: ofi+tcp\nfabric_iface: lo\n{keys}engines:\n{}{}",
            entry(0),
            entry(1)
        ))
    }

    fn memory(total_gib: u64) -> HostMemory {
        HostMemory { total: total_gib * GIB, hugepage: 2 << 20, ..HostMemory::default() }
    }

    #[test]
    fn contract_5_7_hugepages_and_dma_follow_the_targets() {
        let config = two_engines("", "targets: 4");
        assert_eq!(least_hugepages(&config, 16, 2), 8 * 512);
        assert_eq!(dma_mib(&config, &config.engines[0], 16, 0), 4096);
        let single = two_engines("", "targets: 1");
        assert_eq!(least_hugepages(&single, 16, 2), 4 * 512);
        assert_eq!(least_hugepages(&single, 16, 1024), 4);
        let none = config_without_bdevs();
        assert_eq!(least_hugepages(&none, 16, 2), 128);
        assert_eq!(dma_mib(&none, &none.engines[0], 16, 0), 0);
    }

    fn config_without_bdevs() -> crate::config::ServerConfig {
        config(
            "provider: ofi+tcp\nfabric_iface: lo\nfabric_iface_port: 31416\nservers:\n\
             - {scm_class: ram, scm_mount: /mnt/d, scm_size: 4}\n",
        )
    }

    #[test]
    fn r170_a_share_of_the_free_pages_less_a_sixteenth() {
        let config = two_engines("set_hugepages: true\n", "targets: 4");
        assert_eq!(dma_mib(&config, &config.engines[0], 16, 8192), 3840);
    }

    #[test]
    fn contract_5_7_largest_ram_tier() {
        // 256 - 64 reserved - 8 huge pages - 2 x 1 for the engines = 182 for two.
        let config = two_engines("", "targets: 4");
        assert_eq!(largest_ram_tier_gib(&config, 16, &memory(256)), 91);
        assert_eq!(largest_ram_tier_gib(&config, 16, &memory(32)), 0);
        // One target per core: 16 targets need 2 GiB.
        assert_eq!(largest_ram_tier_gib(&config_without_bdevs(), 16, &memory(100)), 33);
    }

    #[test]
    fn contract_5_7_nine_tenths_must_be_free() {
        let memory = HostMemory { available: 9 * GIB, ..HostMemory::default() };
        assert!(has_memory_for(10 * GIB, &memory));
        assert!(!has_memory_for(11 * GIB, &memory));
    }
}
