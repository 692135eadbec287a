//! Preflight on real kernels: what a host lacks is named with the remedy, and following the remedies makes it ready.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::nvme_scan::address;
use crate::guest::{Guest, Lab};
use crate::hardware::Hardware;

/// The user that runs the server.
const BOB: &str = "setpriv --reuid 1000 --regid 1000 --clear-groups";

/// Two engines with persistent memory and one controller each; nothing runs, so any program stands for the engine.
fn configure(guest: &mut Guest, pages: u32) -> Result<()> {
    let mut engines = String::new();
    for (index, serial) in ["LAB-C", "LAB-A"].into_iter().enumerate() {
        let at = address(guest, serial)?;
        engines.push_str(&format!(
            "- targets: 1\n  fabric_iface: lo\n  fabric_iface_port: {}\n  pinned_numa_node: {index}\n  \
             storage:\n  - {{class: dcpm, scm_mount: /mnt/d{index}, scm_list: [/dev/pmem{index}]}}\n  \
             - {{class: nvme, bdev_list: [\"{at}\"]}}\n",
            31416 + index * 1000
        ));
    }
    guest.shell.run(&format!(
        "printf '%s' 'name: lab\nprovider: ofi+tcp\nmgmt_svc_replicas: [127.0.0.1]\ntransport_config: {{allow_insecure: true}}\n\
         socket_dir: /run/daos\nnr_hugepages: {pages}\nengines:\n{engines}' > /etc/server.yml
         printf '#!/bin/sh\n' > /usr/bin/daos_engine; chmod 755 /usr/bin/daos_engine"
    ))?;
    Ok(())
}

/// What bob is told, and the exit status that goes with it.
fn told(guest: &mut Guest) -> Result<(i32, Value)> {
    let ran = guest.shell.try_run(&format!("{BOB} daos_server -j preflight -o /etc/server.yml"))?;
    let report = serde_json::from_str(&ran.output).with_context(|| ran.output.clone())?;
    Ok((ran.status, report))
}

/// Findings of a rule that are errors: subject and fix.
fn errors(report: &Value, rule: &str) -> Vec<(String, String)> {
    let word = |each: &Value, name: &str| each[name].as_str().unwrap_or_default().to_owned();
    let found = report["findings"].as_array().into_iter().flatten();
    let found = found.filter(|each| each["rule"] == rule && each["severity"] == "error");
    found.map(|each| (word(each, "subject"), word(each, "fix"))).collect()
}

/// Without an IOMMU: named, with the words for the kernel's command line; root is told that only root can go on. A prepare says the same.
pub fn without_iommu(lab: &Lab) -> Result<()> {
    let hardware = Hardware { iommu: false, dimm_mib: 128, ..Hardware::default() };
    let disks = lab.disks(&hardware)?;
    let mut guest = lab.boot(&hardware, &disks)?;
    configure(&mut guest, 64)?;
    let (status, report) = told(&mut guest)?;
    ensure!(status == 2, "{report:#}");
    let found = errors(&report, "iommu");
    ensure!(found.len() == 1 && found[0].1.contains("intel_iommu=on"), "{report:#}");
    let shown =
        guest.shell.try_run(&format!("{BOB} daos_server preflight -v -o /etc/server.yml"))?;
    lab.keep("preflight", &shown.output)?;
    let refused = guest.shell.refused(
        &format!("{BOB} daos_server start -o /etc/server.yml"),
        "NVMe as a plain user needs an IOMMU, and the host shows none",
    )?;
    ensure!(refused.contains("code = 602"), "{refused}");
    let root = guest.shell.try_run("daos_server preflight -o /etc/server.yml")?;
    ensure!(
        root.output.contains("notice   iommu: there is no IOMMU, so only root"),
        "{}",
        root.output
    );
    super::nvme_prepare::without_iommu(&mut guest)?;
    guest.power_off()
}

/// With an IOMMU: modules, huge pages, limits, preparation and directories are missing and named, each is put right as it says,
/// and then nothing is left but the persistent memory, which only root can mount.
pub fn remedies_make_ready(lab: &Lab) -> Result<()> {
    let hardware = Hardware { dimm_mib: 128, ..Hardware::default() };
    let disks = lab.disks(&hardware)?;
    let mut guest = lab.boot(&hardware, &disks)?;
    configure(&mut guest, 64)?;
    // A kernel without the package that has these modules.
    guest.shell.run(
        "mkdir /tmp/away; for module in vfio-pci vfio_iommu_type1; do
             find /lib/modules -name \"$module.ko*\" -exec mv {} /tmp/away/ ';'; done
         cp /lib/modules/*/modules.dep /tmp/away/; sed -i '/vfio-pci.ko\\|vfio_iommu_type1.ko/d' /lib/modules/*/modules.dep
         echo always > /sys/kernel/mm/transparent_hugepage/enabled",
    )?;
    let (status, report) = told(&mut guest)?;
    ensure!(status == 2 && errors(&report, "iommu").is_empty(), "{report:#}");
    let missing: Vec<_> = errors(&report, "vfio-modules").into_iter().map(|each| each.0).collect();
    ensure!(missing == ["vfio_pci", "vfio_iommu_type1"], "{report:#}");
    let short: Vec<_> = errors(&report, "hugepages").into_iter().map(|each| each.0).collect();
    ensure!(short == ["node 0", "node 1"], "{report:#}");
    for rule in ["transparent-hugepages", "memlock", "vfio-access", "directories"] {
        ensure!(!errors(&report, rule).is_empty(), "{rule} is not told: {report:#}");
    }
    // More pages than a node has memory for.
    configure(&mut guest, 100_000)?;
    let (_, report) = told(&mut guest)?;
    ensure!(report.to_string().contains("and no memory for the rest"), "{report:#}");
    configure(&mut guest, 64)?;

    // The module's package comes, and then root does what it says, one thing after another.
    guest.shell.run(
        "mv /tmp/away/modules.dep /lib/modules/*/; place=$(dirname $(find /lib/modules -name 'vfio.ko*' | head -1))
         mkdir -p $place/pci; mv /tmp/away/vfio-pci.ko* $place/pci/; mv /tmp/away/vfio_iommu_type1.ko* $place/",
    )?;
    let (_, report) = told(&mut guest)?;
    for rule in ["vfio-modules", "hugepages", "transparent-hugepages", "vfio-access", "directories"]
    {
        for (_, fix) in errors(&report, rule) {
            let command = fix.split('`').nth(1).with_context(|| fix.clone())?;
            let command = command.replace("modprobe", "modprobe -C /dev/null");
            guest.shell.run(&command)?;
        }
    }
    let limit = |command: &str| format!("sh -c 'ulimit -l unlimited; {BOB} {command}'");
    let ran = guest.shell.try_run(&limit("daos_server preflight -v -o /etc/server.yml"))?;
    let mut left = ran.output.lines().filter(|line| line.starts_with("ERROR"));
    ensure!(left.all(|line| line.starts_with("ERROR    storage, engine ")), "{}", ran.output);
    ensure!(ran.status == 2, "{}", ran.output);
    lab.keep("preflight-ready", &ran.output)?;
    for rule in ["iommu: on", "hugepages, node 1: ", "vfio-access, ", "memlock: high enough"] {
        ensure!(ran.output.contains(&format!("ok       {rule}")), "{rule}: {}", ran.output);
    }
    guest.power_off()
}
