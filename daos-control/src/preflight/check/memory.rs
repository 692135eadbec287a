//! Memory for RAM tiers, and transparent huge pages (contract 5.5, 5.7).

use super::super::facts::HostFacts;
use super::super::rules::Rule;
use super::{Findings, Problem};
use crate::config::ScmTier;
use crate::config::sizing::{self, MIN_RAM_TIER_GIB};
use crate::fault::code;

const MEMINFO: &str = "/proc/meminfo";
const THP: &str = "/sys/kernel/mm/transparent_hugepage/enabled";

/// Whether memory holds every RAM tier; the size for those that are configured as 0.
pub(super) fn ram_tiers(findings: &mut Findings<'_>, facts: &HostFacts) -> Option<u32> {
    let asked = findings.asked()?;
    let config = asked.config;
    let tiers: Vec<(u32, u64)> = config
        .engines
        .iter()
        .filter_map(|engine| match &engine.scm {
            ScmTier::Ram { size_gib, .. } => Some((engine.index, u64::from(*size_gib))),
            ScmTier::Dcpm { .. } => None,
        })
        .collect();
    let (first, _) = tiers.first()?;
    let largest = sizing::largest_ram_tier_gib(config, facts.cores, &facts.memory);
    let total = facts.memory.total >> 30;
    let seen = format!("MemTotal {total} GiB, HugePages_Total {}", facts.memory.hugepages_total);
    if largest < MIN_RAM_TIER_GIB {
        let text = format!(
            "{total} GiB of memory leave {largest} GiB for each RAM tier after huge pages, {} GiB for the system \
             and the engines' own need",
            config.system_ram_reserved_gib
        );
        let fix = "lower `system_ram_reserved`, or add memory";
        findings.protect(
            Problem::new(Rule::RamTiers, code::SCM_RAMDISK_LOW_MEM, text, fix)
                .at(asked.storage_key(*first, "scm_size"))
                .seen(MEMINFO, &seen),
        );
    }
    for (index, gib) in tiers.iter().filter(|(_, gib)| *gib > largest) {
        let text = format!("{gib} GiB are more than the {largest} GiB each RAM tier may take");
        // 0 is the size of a tier that is to be as large as it can be; without room there is none.
        let fix = match largest < MIN_RAM_TIER_GIB {
            true => "lower `system_ram_reserved` or `targets`, or add memory".to_owned(),
            false => format!("set `scm_size` to at most {largest}, or to 0 for as much"),
        };
        findings.protect(
            Problem::new(Rule::RamTiers, code::SERVER_CONFIG_RAMDISK_OVER_MAX_MEM, text, fix)
                .about(format!("engine {index}"))
                .at(asked.storage_key(*index, "scm_size"))
                .seen(MEMINFO, &seen),
        );
    }
    findings.passed_so_far(Rule::RamTiers, "memory holds every RAM tier", MEMINFO, seen);
    let wants_size = tiers.iter().any(|(_, gib)| *gib == 0);
    (wants_size && largest >= MIN_RAM_TIER_GIB).then(|| u32::try_from(largest).unwrap_or(u32::MAX))
}

/// Off, unless it is allowed to be on.
pub(super) fn transparent_hugepages(findings: &mut Findings<'_>, facts: &HostFacts) {
    let config = findings.asked().map(|asked| asked.config);
    if config.is_some_and(|config| config.engines.is_empty()) {
        return;
    }
    let allowed = config.is_some_and(|config| config.allow_thp);
    let seen = match facts.transparent_hugepages.as_str() {
        "" => "not there",
        text => text,
    };
    if !facts.has_transparent_hugepages() || allowed {
        let text = if allowed { "`allow_thp` leaves them to the host" } else { "off" };
        findings.passed(Rule::TransparentHugepages, "", text, THP, seen);
        return;
    }
    findings.protect(
        Problem::new(
            Rule::TransparentHugepages,
            code::SERVER_TRANSPARENT_HUGEPAGE_ENABLED,
            "transparent huge pages are enabled",
            format!(
                "as root `echo never > {THP}`, and boot with `transparent_hugepage=never`; or set `allow_thp: true`"
            ),
        )
        .at("allow_thp")
        .seen(THP, seen),
    );
}
