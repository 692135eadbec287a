//! Each rule by its name: what breaks it, how much that matters, and what is said.

use std::collections::BTreeSet;

use daos_control::Fault;
use daos_control::format::{Foreseen, Refusal, StorageMedium};
use daos_control::network::NetDevClass;
use daos_control::preflight::rules::ALL;
use daos_control::preflight::{
    ClockFacts, Facts, Finding, HostFacts, LIBIPMCTL, ModuleState, PlacePurpose, PortHolder,
    Severity, check,
};

use crate::hosts::{
    GIB, bad, controller, facts, findings, place, pmem_and_nvme, problems, protects, ram_and_nvme,
    ready, told,
};

fn with(change: impl FnOnce(&mut HostFacts)) -> Facts {
    let mut facts = facts();
    change(&mut facts.host);
    facts
}

fn names(found: &[Finding]) -> BTreeSet<&str> {
    found.iter().map(|finding| finding.rule.as_str()).collect()
}

#[test]
fn a_host_that_is_ready_passes_every_check_there_is() {
    let ram = findings(&ram_and_nvme("control_iface: eth0\nnr_hugepages: 4096\n"), &facts());
    let pmem = findings(&pmem_and_nvme(""), &facts());
    assert_eq!(problems(ram.clone()), []);
    assert_eq!(problems(pmem.clone()), []);
    let mut seen = names(&ram);
    seen.extend(names(&pmem));
    let all: BTreeSet<_> = ALL.iter().map(|rule| rule.row().name).collect();
    let missing: Vec<_> = all.difference(&seen).collect();
    assert_eq!(missing, [&"config"], "the file itself is read elsewhere");
    assert!(ram.iter().chain(&pmem).all(|each| !each.evidence.is_empty() && each.fix.is_empty()));
}

#[test]
fn every_problem_says_what_was_read_and_what_to_do() {
    for text in [ram_and_nvme(""), pmem_and_nvme(""), ram_and_nvme("data_plane: emulated\n")] {
        let found = problems(findings(&text, &bad()));
        assert!(names(&found).len() >= 8, "{found:#?}");
        for finding in &found {
            assert!(!finding.fix.is_empty() && !finding.evidence.is_empty(), "{finding:#?}");
            assert!(finding.evidence.iter().all(|each| !each.source.is_empty()), "{finding:#?}");
        }
    }
}

#[test]
fn with_the_emulated_data_plane_what_protects_a_real_engine_is_a_notice() {
    let found = problems(findings(&ram_and_nvme("data_plane: emulated\n"), &bad()));
    for finding in &found {
        // What the stand-in needs as well: its controllers, programs, directories and ports.
        let needed =
            ["controllers", "pmem-devices", "engine-program", "tools", "directories", "ports"]
                .contains(&finding.rule.as_str());
        let lasts = finding.rule == "disk-space";
        assert_eq!(finding.severity == Severity::Error, needed, "{finding:#?}");
        assert_eq!(
            finding.severity == Severity::Warning,
            lasts && finding.code == 1481 && finding.severity != Severity::Notice,
            "{finding:#?}"
        );
    }
    for rule in ["iommu", "vfio-modules", "memlock", "hugepages", "transparent-hugepages", "clock"]
    {
        let severities: Vec<_> =
            found.iter().filter(|each| each.rule == rule).map(|each| each.severity).collect();
        assert_eq!(severities, [Severity::Notice], "{rule}");
    }
}

#[test]
fn without_a_configuration_nothing_is_an_error_and_only_the_host_is_told() {
    let found = problems(check(None, &bad()));
    let missed: BTreeSet<_> =
        ["iommu", "vfio-modules", "memlock", "transparent-hugepages", "clock", "tools"].into();
    assert!(missed.is_subset(&names(&found)), "{found:#?}");
    let hard: Vec<_> = found.iter().filter(|each| each.severity == Severity::Error).collect();
    let own = ["directories", "pmem-devices", "engine-program"];
    assert!(hard.iter().all(|each| own.contains(&each.rule.as_str())), "{hard:#?}");
    assert!(found.iter().all(|each| each.key.is_empty() || each.line.is_none()));
    assert_eq!(problems(check(None, &facts())), []);
}

#[test]
fn iommu() {
    let bare = with(|host| host.iommu.clear());
    let found = protects(&ram_and_nvme(""), &bare, "iommu", 602);
    assert!(
        found.fix.contains("intel_iommu=on") && found.fix.contains("amd_iommu=on"),
        "{found:?}"
    );
    assert_eq!(found.evidence[0].source, "/sys/class/iommu");
    let found = protects(&ram_and_nvme("disable_vfio: true\n"), &facts(), "iommu", 614);
    assert_eq!((found.key.as_str(), found.line), ("disable_vfio", Some(2)));
    // Root does without, on uio; it is told.
    let root = with(|host| (host.is_root, host.iommu) = (true, Vec::new()));
    assert_eq!(
        told(&ram_and_nvme(""), &root),
        [("iommu".into(), Severity::Notice, 602, String::new())]
    );
    let files = ram_and_nvme("").replace(
        "class: nvme, bdev_list: ['0000:81:00.0']",
        "class: file, bdev_size: 1, bdev_list: [/tmp/0]",
    );
    let files = files.replace(
        "class: nvme, bdev_list: ['0000:82:00.0']",
        "class: file, bdev_size: 1, bdev_list: [/tmp/1]",
    );
    assert_eq!(told(&files, &bare), [], "no NVMe, no IOMMU");
}

#[test]
fn vfio_modules() {
    let state = |name: &'static str, state| {
        with(|host| {
            host.modules.states.insert(name, state);
        })
    };
    let missing = state("vfio_pci", ModuleState::Missing);
    let found = protects(&ram_and_nvme(""), &missing, "vfio-modules", 1475);
    assert!(found.text.contains("vfio_pci") && found.fix.contains("6.1.0"), "{found:?}");
    let asleep = state("vfio_iommu_type1", ModuleState::Loadable);
    let found = protects(&ram_and_nvme(""), &asleep, "vfio-modules", 1475);
    assert!(found.fix.contains("`modprobe vfio_iommu_type1`"), "{found:?}");
    // Root loads what is installed, and uses uio without an IOMMU.
    let mut root = asleep;
    root.host.is_root = true;
    assert_eq!(told(&ram_and_nvme(""), &root), []);
    root.host.modules.states.insert("uio_pci_generic", ModuleState::Missing);
    root.host.iommu.clear();
    let rules: Vec<_> = told(&ram_and_nvme(""), &root).into_iter().map(|each| each.0).collect();
    assert_eq!(rules, ["iommu", "vfio-modules"]);
    // Where VFIO is allowed without one, prepare uses it, and uio is not missed.
    root.host.no_iommu_allowed = true;
    let rules: Vec<_> = told(&ram_and_nvme(""), &root).into_iter().map(|each| each.0).collect();
    assert_eq!(rules, ["iommu"]);
}

#[test]
fn memlock() {
    // An engine with two targets locks 2 GiB, and DPDK a little more.
    let low = with(|host| host.memlock = Some(2 * GIB));
    let found = protects(&ram_and_nvme(""), &low, "memlock", 1478);
    assert!(found.text.contains("2112 MiB"), "{found:?}");
    assert!(found.fix.contains("LimitMEMLOCK=infinity"), "{found:?}");
    assert!(found.fix.contains("`bob - memlock unlimited`"), "{found:?}");
    assert_eq!(found.key, "engines[0].storage[1].bdev_list");
    let enough = with(|host| host.memlock = Some(3 * GIB));
    assert_eq!(told(&ram_and_nvme(""), &enough), []);
    let mut root = low;
    root.host.is_root = true;
    assert_eq!(told(&ram_and_nvme(""), &root), [], "root has no such limit");
}

#[test]
fn transparent_hugepages() {
    let on = with(|host| host.transparent_hugepages = "always [madvise] never".to_owned());
    let found = protects(&ram_and_nvme(""), &on, "transparent-hugepages", 623);
    assert_eq!(found.evidence[0].seen, "always [madvise] never");
    assert_eq!(told(&ram_and_nvme("allow_thp: true\n"), &on), []);
    let absent = with(|host| host.transparent_hugepages.clear());
    assert_eq!(told(&ram_and_nvme(""), &absent), []);
}

#[test]
fn ram_tiers() {
    let small = with(|host| host.memory.total = 70 * GIB);
    let found = protects(&ram_and_nvme(""), &small, "ram-tiers", 214);
    assert!(found.evidence[0].seen.contains("MemTotal 70 GiB"), "{found:?}");
    let none = with(|host| host.memory.total = 40 * GIB);
    let sized = ram_and_nvme("").replace("/mnt/d1}", "/mnt/d1, scm_size: 4}");
    let found = problems(findings(&sized, &none)).into_iter();
    let found: Vec<_> = found.filter(|each| each.rule == "ram-tiers").collect();
    assert!(found.len() == 2 && found.iter().all(|each| !each.fix.contains("0")), "{found:#?}");
    let large = ram_and_nvme("").replace("/mnt/d1}", "/mnt/d1, scm_size: 250}");
    let large = large.replace("/mnt/d0}", "/mnt/d0, scm_size: 4}");
    let found = protects(&large, &facts(), "ram-tiers", 731);
    assert_eq!((found.subject.as_str(), found.line), ("engine 1", Some(13)), "{found:?}");
}

#[test]
fn hugepages_of_each_node() {
    let mut short = facts();
    short.nodes[1].hugepages_total = 195;
    let found = protects(&ram_and_nvme(""), &short, "hugepages", 1477);
    assert_eq!(found.subject, "node 1");
    assert!(found.text.contains("has 195 of the 1024 huge pages of 2 MiB"), "{found:?}");
    assert!(
        found.fix.contains(
            "echo 1024 > /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages"
        ),
        "{found:?}"
    );
    // A start as root asks the kernel for the rest.
    short.host.is_root = true;
    let warned = ("hugepages".to_owned(), Severity::Warning, 1477, "node 1".to_owned());
    assert_eq!(told(&ram_and_nvme(""), &short), [warned]);
    // Not for the stand-in, which has none of them.
    let emulated = findings(&ram_and_nvme("data_plane: emulated\n"), &short).into_iter();
    let mut of_pages = emulated.filter(|each| each.rule == "hugepages" && each.code != 0);
    assert!(of_pages.all(|each| !each.text.contains("asks the kernel")));
    // Which has to have the memory.
    short.nodes[1].free_kib = 100 << 10;
    let found = protects(&ram_and_nvme(""), &short, "hugepages", 1477);
    assert!(found.text.contains("no memory for the rest"), "{found:?}");
    // All pages on one node do not count for the other, and a node without an engine needs none.
    let one = ram_and_nvme("nr_hugepages: 4097\n");
    let found = protects(&one, &facts_with_pages(4096, 0), "hugepages", 1477);
    assert_eq!(found.subject, "node 1");
    let single = one.split("- targets").take(2).collect::<Vec<_>>().join("- targets");
    assert_eq!(told(&single, &facts_with_pages(4097, 0)), []);
    // A node that is not there has none, however many the others have.
    let mut small = facts_with_pages(9999, 0);
    small.nodes.pop();
    let found = protects(&ram_and_nvme(""), &small, "hugepages", 1477);
    assert_eq!(found.subject, "node 1");
    assert!(found.fix.contains("pinned_numa_node"), "{found:?}");
}

fn facts_with_pages(first: u64, second: u64) -> Facts {
    let mut facts = facts();
    (facts.nodes[0].hugepages_total, facts.nodes[1].hugepages_total) = (first, second);
    facts
}

#[test]
fn hugepage_count() {
    let few = told(&ram_and_nvme("nr_hugepages: 5\n"), &facts());
    assert_eq!(few, [("hugepage-count".to_owned(), Severity::Notice, 1477, String::new())]);
}

#[test]
fn control_interface() {
    for text in [
        ram_and_nvme("control_iface: eth7\n"),
        ram_and_nvme("control_iface: eth7\ndata_plane: emulated\n"),
    ] {
        let found = problems(findings(&text, &facts()));
        assert_eq!((found[0].code, found[0].severity), (739, Severity::Error));
        assert_eq!(found[0].evidence[0].seen, "eth0, eth1");
    }
}

#[test]
fn fabric_interface() {
    let text = ram_and_nvme("").replace("fabric_iface: eth1", "fabric_iface: eth9");
    let found = problems(findings(&text, &facts()));
    assert!(
        found.iter().any(|each| (each.rule.as_str(), each.code) == ("fabric-interface", 701)),
        "{found:#?}"
    );
    let mixed = with(|host| host.network.interfaces[1].class = NetDevClass::INFINIBAND);
    protects(&ram_and_nvme(""), &mixed, "fabric-interface", 613);
}

#[test]
fn numa_engines() {
    let both = with(|host| host.network.interfaces[1].numa_node = 0);
    assert_eq!(
        told(&ram_and_nvme(""), &both).iter().filter(|each| each.0 == "numa-engines").count(),
        0,
        "both on one node is even"
    );
    let pinned =
        ram_and_nvme("").replace("fabric_iface: eth1", "pinned_numa_node: 0\n  fabric_iface: eth1");
    let found = told(&pinned, &facts());
    assert!(
        found.contains(&("numa-engines".to_owned(), Severity::Notice, 1480, "engine 1".to_owned())),
        "{found:?}"
    );
}

#[test]
fn numa_devices() {
    let mut far = facts();
    far.controllers = Ok(vec![controller("0000:81:00.0", 1), controller("0000:82:00.0", 1)]);
    let found = problems(findings(&ram_and_nvme(""), &far));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(
        (found[0].severity, found[0].code, found[0].subject.as_str()),
        (Severity::Warning, 1480, "engine 0")
    );
    assert!(found[0].text.contains("SSD 0000:81:00.0 is at node 1, its engine at node 0"));
    assert!(found[0].fix.contains("pinned_numa_node: 1"));
    let mut far = facts();
    far.pmem[1].numa_node = Some(0);
    let found = problems(findings(&pmem_and_nvme(""), &far));
    assert_eq!(found[0].text, "pmem1 is at node 0, its engine at node 1");
    // What the host does not tell is not judged.
    far.pmem[1].numa_node = None;
    assert_eq!(told(&pmem_and_nvme(""), &far), []);
}

#[test]
fn controllers_are_there_and_not_used_by_the_host() {
    let text = ram_and_nvme("");
    let mut facts = facts();
    facts.controllers = Ok(vec![controller("0000:81:00.0", 0)]);
    for (index, found) in facts.controllers.iter_mut().flatten().enumerate() {
        assert_eq!(index, 0);
        found.uses = vec!["namespace 1 is mounted on /home".to_owned()];
    }
    for text in [text.clone(), format!("data_plane: emulated\n{text}")] {
        let error =
            |code, at: &str| ("controllers".to_owned(), Severity::Error, code, at.to_owned());
        assert_eq!(told(&text, &facts), [error(1225, "0000:81:00.0"), error(304, "0000:82:00.0")]);
    }
    // The remedy is that of what kept them from being listed.
    let record = Fault::new("bdev", 1232, "/x/nvme_prepared.json: read: denied", "see to /x");
    facts.controllers = Err(record);
    let found = problems(findings(&text, &facts));
    let found: Vec<_> = found.iter().map(|each| (each.code, each.fix.as_str())).collect();
    assert_eq!(found, [(1232, "see to /x")]);
}

#[test]
fn vfio_access() {
    let mut closed = facts();
    for found in closed.controllers.iter_mut().flatten().take(1) {
        found.device = Some(("/dev/vfio/7".into(), false));
    }
    let found = protects(&ram_and_nvme(""), &closed, "vfio-access", 1476);
    assert_eq!(
        found.fix,
        "as root `daos_server nvme prepare 0000:81:00.0 -p 0:4096,1:4096 -u bob`"
    );
    let mut unprepared = facts();
    for found in unprepared.controllers.iter_mut().flatten() {
        (found.driver, found.device) = (Some("nvme".to_owned()), None);
    }
    let found = protects(&ram_and_nvme(""), &unprepared, "vfio-access", 1476);
    assert!(found.text.contains("driver nvme has it"), "{found:?}");
    unprepared.host.is_root = true;
    assert_eq!(told(&ram_and_nvme(""), &unprepared), [], "a start as root prepares");
}

#[test]
fn pmem_devices() {
    let mut facts = facts();
    facts.scm_devices[1].1 = false;
    let found = problems(findings(&pmem_and_nvme(""), &facts));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(
        (found[0].code, found[0].subject.as_str(), found[0].line),
        (204, "/dev/pmem1", Some(13))
    );
}

#[test]
fn engine_program() {
    let mut facts = facts();
    facts.engine_program =
        Some(Err(Fault::new("server", 1266, "daos_engine is not there", "install it")));
    for plane in ["", "data_plane: emulated\n"] {
        let error = ("engine-program".to_owned(), Severity::Error, 1266, String::new());
        assert_eq!(told(&ram_and_nvme(plane), &facts), [error]);
    }
}

#[test]
fn kernel_modules() {
    let missing = with(|host| {
        host.modules.states.insert("nd_pmem", ModuleState::Missing);
    });
    let error = ("kernel-modules".to_owned(), Severity::Error, 1475, "nd_pmem".to_owned());
    assert_eq!(told(&pmem_and_nvme(""), &missing), [error]);
    assert_eq!(told(&ram_and_nvme(""), &missing), [], "RAM needs none");
}

#[test]
fn tools() {
    let without = |name: &str| {
        let mut facts = facts();
        for tool in facts.tools.iter_mut().filter(|tool| tool.name == name) {
            (tool.path, tool.version) = (None, None);
        }
        facts
    };
    let row = |severity, code, name: &str| ("tools".to_owned(), severity, code, name.to_owned());
    assert_eq!(told(&ram_and_nvme(""), &without("blkid")), [row(Severity::Error, 1218, "blkid")]);
    assert_eq!(told(&ram_and_nvme(""), &without("mkfs.ext4")), []);
    assert_eq!(
        told(&pmem_and_nvme(""), &without("mkfs.ext4")),
        [row(Severity::Error, 1479, "mkfs.ext4")]
    );
    assert_eq!(told(&pmem_and_nvme(""), &without("ndctl")), [row(Severity::Warning, 1, "ndctl")]);
    assert_eq!(
        told(&pmem_and_nvme(""), &without(LIBIPMCTL)),
        [row(Severity::Notice, 1, LIBIPMCTL)]
    );
    let mut bad = facts();
    for tool in bad.tools.iter_mut().filter(|tool| tool.name == LIBIPMCTL) {
        tool.problem = Some("libipmctl.so.5 02.00.00.3814 must not be used".to_owned());
    }
    assert_eq!(told(&pmem_and_nvme(""), &bad), [row(Severity::Error, 2, LIBIPMCTL)]);
    assert_eq!(told(&ram_and_nvme(""), &bad), [row(Severity::Warning, 2, LIBIPMCTL)]);
}

#[test]
fn directories() {
    let mut facts = facts();
    facts.places[0].writable = false;
    facts.places[1].existing = "/run".into();
    facts.places[2].path = "/var/log/daos/deep".into();
    let found = problems(findings(&ram_and_nvme(""), &facts));
    let texts: Vec<_> = found.iter().map(|each| each.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "user bob may not write to the directory for state",
            "the directory for sockets does not exist",
            "the directory for logs does not exist"
        ]
    );
    assert!(found.iter().all(|each| (each.severity, each.code) == (Severity::Error, 1481)));
    assert_eq!(found[1].fix, "as root `mkdir -p /run/daos && chown bob /run/daos`");
    // What cannot be reached is not made usable by making it.
    facts.places[0].existing = "/root".into();
    facts.places[0].searchable = false;
    let found = problems(findings(&ram_and_nvme(""), &facts));
    assert!(!found[0].fix.contains("mkdir"), "{found:#?}");
    assert!(found[0].fix.contains("set `state_dir`"), "{found:#?}");
    // An engine goes on without its log; the server makes its state directory itself.
    facts.places = vec![
        place(PlacePurpose::Log, "engines[0].log_file", "/var/log/x"),
        place(PlacePurpose::State, "state_dir", "/var/lib/daos_server"),
    ];
    facts.places[0].existing = "/var/log".into();
    facts.places[1].existing = "/var/lib".into();
    let found = problems(findings(&ram_and_nvme(""), &facts));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!((found[0].severity, found[0].line), (Severity::Warning, Some(3)));
}

#[test]
fn disk_space() {
    let mut facts = facts();
    facts.places[2].available = Some(1 << 20);
    facts.places[0].in_memory = true;
    facts.places.push(place(PlacePurpose::Metadata, "control_metadata.path", "/dev/shm/meta"));
    facts.places[3].in_memory = true;
    let row = |severity, path: &str| ("disk-space".to_owned(), severity, 1481, path.to_owned());
    assert_eq!(
        told(&ram_and_nvme(""), &facts),
        [
            row(Severity::Notice, "/var/lib/daos_server"),
            row(Severity::Warning, "/var/log/daos"),
            row(Severity::Warning, "/dev/shm/meta")
        ]
    );
}

#[test]
fn clock() {
    let mut facts = facts();
    for state in [Ok(ClockFacts { synchronised: false, max_error_us: 0 }), Err("EPERM".to_owned())]
    {
        facts.clock = state;
        let row = |severity| ("clock".to_owned(), severity, 1482, String::new());
        assert_eq!(told(&ram_and_nvme(""), &facts), [row(Severity::Warning)]);
        assert_eq!(told(&ram_and_nvme("data_plane: emulated\n"), &facts), [row(Severity::Notice)]);
    }
}

#[test]
fn ports() {
    let mut facts = facts();
    for port in &mut facts.ports {
        port.holder = Some(PortHolder { process: "pid 7 (nginx)".to_owned(), ours: false });
    }
    let found = problems(findings(&ram_and_nvme(""), &facts));
    let rows: Vec<_> =
        found.iter().map(|each| (each.code, each.subject.as_str(), each.key.as_str())).collect();
    assert_eq!(
        rows,
        [(1361, "control port", "port"), (1483, "engine 0", "engines[0].fabric_iface_port")]
    );
    assert!(found.iter().all(|each| each.severity == Severity::Error));
    assert_eq!(found[0].text, "port 10001 is in use by pid 7 (nginx)");
    for port in &mut facts.ports {
        port.holder = Some(PortHolder { process: "pid 9 (daos_server)".to_owned(), ours: true });
    }
    assert_eq!(told(&ram_and_nvme(""), &facts), [], "a server that runs holds its own ports");
}

#[test]
fn storage_that_is_formatted_is_well_and_what_waits_for_reformat_a_warning() {
    let refusal = |until_reformat| Refusal {
        medium: StorageMedium::Nvme,
        device: "/dev/sdb".to_owned(),
        fault: Fault::new("bdev", 1226, "/dev/sdb: not blank: ext4", "format with --reformat"),
        until_reformat,
    };
    let told_of = |storage: Foreseen| {
        let facts = Facts { storage: Ok(vec![storage]), ..facts() };
        let found = findings(&ram_and_nvme(""), &facts).into_iter();
        let found = found.filter(|each| each.rule == "storage");
        found.map(|each| (each.severity, each.code, each.text)).collect::<Vec<_>>()
    };
    let formatted = told_of(Foreseen { formatted: true, ..ready(0) });
    assert_eq!(formatted, [(Severity::Ok, 0, "is formatted".to_owned())]);
    let refused =
        |until_reformat| told_of(Foreseen { refusals: vec![refusal(until_reformat)], ..ready(0) });
    let found = refused(true);
    assert!(found[0].0 == Severity::Warning && found[0].2.contains("--reformat"), "{found:?}");
    let found = refused(false);
    assert_eq!(found, [(Severity::Error, 1226, "/dev/sdb: not blank: ext4".to_owned())]);
}
