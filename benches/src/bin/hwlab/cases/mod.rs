//! What is proven on emulated hardware. One file per subject; each case boots what it needs.

mod nvme_bound;
mod nvme_format;
mod nvme_power;
mod nvme_prepare;
mod nvme_scan;
mod nvme_start;
mod pmem;
mod pmem_hidden;
mod pmem_power;
mod preflight;
mod site;
mod whole_flow;

use anyhow::Result;

use crate::guest::Lab;

/// One case.
pub struct Case {
    pub name: &'static str,
    pub run: fn(&Lab) -> Result<()>,
}

/// All of them, in the order in which they run: long ones first, so that none of them is left alone at the end.
pub const ALL: &[Case] = &[
    Case { name: "power_cut_during_format", run: nvme_power::cut_during_format },
    Case { name: "pmem_power_cut_during_format", run: pmem_power::cut_during_format },
    Case { name: "pmem_power_cut_during_prepare", run: pmem_power::cut_during_prepare },
    Case { name: "pmem_outlives_a_reboot_and_is_reset", run: pmem::outlives_a_reboot },
    Case { name: "pmem_passes_the_suite_of_provisioning", run: pmem::passes_the_suite },
    Case {
        name: "format_of_a_bound_controller_gives_it_back",
        run: nvme_bound::is_lent_and_given_back,
    },
    Case {
        name: "start_prepares_what_its_engines_list_and_nothing_else",
        run: nvme_start::automatic,
    },
    Case { name: "format_of_a_bound_controller_survives_a_kill", run: nvme_bound::survives_a_kill },
    Case { name: "two_hosts_over_the_network_and_a_cut_link", run: whole_flow::two_hosts },
    Case { name: "power_cut_during_prepare", run: nvme_power::cut_during_prepare },
    Case {
        name: "preflight_names_what_is_missing_and_how_to_mend_it",
        run: preflight::remedies_make_ready,
    },
    Case { name: "pmem_refuses_what_is_used", run: pmem::refuses_what_is_used },
    Case { name: "pmem_gives_up_nothing_unseen", run: pmem_hidden::gives_up_nothing_unseen },
    Case { name: "pmem_of_no_module_is_accepted", run: pmem_hidden::memory_of_no_module },
    Case { name: "format_with_bad_sectors", run: nvme_format::bad_sectors },
    Case { name: "format_refuses_devices_in_use", run: nvme_format::refuses_in_use },
    Case {
        name: "format_refuses_another_controller",
        run: nvme_format::refuses_another_controller,
    },
    Case { name: "scan_equals_what_the_machine_was_given", run: nvme_scan::equals_the_machine },
    Case { name: "prepare_for_an_unprivileged_user_and_reset", run: nvme_prepare::user_and_back },
    Case { name: "preflight_and_prepare_name_a_missing_iommu", run: preflight::without_iommu },
    Case {
        name: "format_erases_what_the_plan_shows_and_nothing_else",
        run: nvme_format::erases_the_plan,
    },
    Case { name: "prepare_refuses_controllers_in_use", run: nvme_prepare::refuses_in_use },
];
