//! What a guest is made of, as values, and the words QEMU takes for it. Pure.

use std::path::Path;

use anyhow::{Context as _, Result};

/// One NVMe controller.
#[derive(Debug, Clone)]
pub struct Controller {
    pub serial: &'static str,
    /// NUMA node of its slot.
    pub node: u32,
    /// MiB of each namespace.
    pub namespaces: Vec<u64>,
}

/// A machine.
#[derive(Debug, Clone)]
pub struct Hardware {
    pub memory_mib: u64,
    pub controllers: Vec<Controller>,
    /// MiB of each of the two NVDIMMs, one per node, a multiple of 16; none when 0.
    pub dimm_mib: u64,
    pub iommu: bool,
    /// Media that misbehave: serial of the controller, and what QEMU's `blkdebug` injects into its first namespace.
    pub faults: Vec<(&'static str, String)>,
    /// Further words for the kernel.
    pub kernel: String,
    /// Further words for QEMU.
    pub extra: Vec<String>,
}

impl Default for Hardware {
    fn default() -> Self {
        let controller = |serial, node, namespaces: &[u64]| Controller {
            serial,
            node,
            namespaces: namespaces.to_vec(),
        };
        Self {
            memory_mib: 1024,
            controllers: vec![
                controller("LAB-C", 0, &[64]),
                controller("LAB-A", 1, &[64, 48]),
                controller("LAB-B", 0, &[32]),
            ],
            dimm_mib: 0,
            iommu: true,
            faults: Vec::new(),
            kernel: String::new(),
            extra: Vec::new(),
        }
    }
}

/// Bytes of the label area of an NVDIMM; it comes on top of what Linux wants in multiples of 16 MiB.
const LABELS_KIB: u64 = 128;

/// Name of the file behind the disk of the state directory.
pub const STATE: &str = "state.img";

/// Name of the file behind a namespace.
fn image(place: usize, number: usize) -> String {
    format!("nvme{place}-{number}.img")
}

impl Hardware {
    /// Which of the controllers has this serial number: QEMU calls it `nvme<place>`.
    pub fn place(&self, serial: &str) -> Result<usize> {
        let place = self.controllers.iter().position(|controller| controller.serial == serial);
        place.with_context(|| format!("no controller {serial}"))
    }

    /// Name of the file behind a namespace of a controller.
    pub fn image(&self, serial: &str, namespace: usize) -> Result<String> {
        Ok(image(self.place(serial)?, namespace))
    }

    /// Files that hold the contents of the devices: name and KiB.
    pub fn images(&self) -> Vec<(String, u64)> {
        let mut images = vec![(STATE.to_owned(), 64 * 1024)];
        for (place, controller) in self.controllers.iter().enumerate() {
            for (number, mib) in controller.namespaces.iter().enumerate() {
                images.push((image(place, number + 1), mib * 1024));
            }
        }
        if self.dimm_mib > 0 {
            images.extend(
                (0..2).map(|node| (format!("dimm{node}.img"), self.dimm_mib * 1024 + LABELS_KIB)),
            );
        }
        images
    }

    /// The machine, without what starts it.
    pub fn arguments(&self, images: &Path) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        let mut add = |flag: &str, value: String| words.extend([flag.to_owned(), value]);
        let split = if self.iommu { ",kernel-irqchip=split" } else { "" };
        let nvdimm = if self.dimm_mib > 0 { ",nvdimm=on" } else { "" };
        add("-machine", format!("q35{split}{nvdimm}"));
        add("-accel", "tcg,thread=multi".to_owned());
        add("-cpu", "max".to_owned());
        add("-smp", "2".to_owned());
        let most = self.memory_mib + 4 * self.dimm_mib + 1024;
        add("-m", format!("{}M,slots=4,maxmem={most}M", self.memory_mib));
        for node in 0..2 {
            add(
                "-object",
                format!("memory-backend-ram,id=ram{node},size={}M", self.memory_mib / 2),
            );
            add("-numa", format!("node,nodeid={node},memdev=ram{node},cpus={node}"));
        }
        if self.iommu {
            add("-device", "intel-iommu,intremap=on,device-iotlb=on".to_owned());
        }
        for node in 0..2 {
            // An expander per node, so that what sits in it has that node.
            add(
                "-device",
                format!(
                    "pxb-pcie,id=pxb{node},bus_nr={},numa_node={node},bus=pcie.0",
                    32 * (node + 1)
                ),
            );
        }
        for (place, controller) in self.controllers.iter().enumerate() {
            let Controller { serial, node, namespaces } = controller;
            add(
                "-device",
                format!(
                    "pcie-root-port,id=port{place},bus=pxb{node},chassis={},slot={place}",
                    place + 1
                ),
            );
            add("-device", format!("nvme,id=nvme{place},serial={serial},bus=port{place}"));
            for number in 1..=namespaces.len() {
                let file = images.join(image(place, number)).display().to_string();
                let fault = self.faults.iter().find(|(of, _)| of == serial && number == 1);
                let medium = match fault {
                    Some((_, fault)) => {
                        format!("driver=blkdebug,image.driver=file,image.filename={file},{fault}")
                    }
                    None => format!("file={file},format=raw,discard=unmap"),
                };
                add("-drive", format!("if=none,id=d{place}n{number},{medium}"));
                add(
                    "-device",
                    format!("nvme-ns,drive=d{place}n{number},bus=nvme{place},nsid={number}"),
                );
            }
        }
        if self.dimm_mib > 0 {
            for node in 0..2 {
                let (file, size) =
                    (images.join(format!("dimm{node}.img")), self.dimm_mib * 1024 + LABELS_KIB);
                add(
                    "-object",
                    format!(
                        "memory-backend-file,id=pm{node},share=on,mem-path={},size={size}K",
                        file.display()
                    ),
                );
                add(
                    "-device",
                    format!(
                        "nvdimm,id=dimm{node},memdev=pm{node},label-size={LABELS_KIB}K,node={node}"
                    ),
                );
            }
        }
        let state = images.join(STATE);
        add("-drive", format!("if=none,id=state,file={},format=raw", state.display()));
        add("-device", "virtio-blk-pci,drive=state,serial=STATE,bus=pcie.0".to_owned());
        words.extend(self.extra.iter().cloned());
        words
    }
}
