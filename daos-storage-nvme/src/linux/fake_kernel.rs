//! A kernel for tests: a tree of files that changes as `/sys` and `/dev` do when attributes are written, and that can lose its power,
//! or the program that writes, between any two steps.
//!
//! It watches over the rule that matters most: what the kernel's driver has is not taken from it while anybody could be using it.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use daos_blockdev::{BlockdevError, DeviceFacts, DeviceIdentity, DeviceUse, ProcessRef};

use super::discover::{Inspect, KERNEL_DRIVER};
use super::kernel::{Claim, Kernel};
use super::pci::{self, Roots};
use crate::{BdevError, sim};

/// Why a program ended in the middle: thrown by [`FakeKernel`], caught by tests.
#[derive(Debug)]
pub(super) struct Cut;

#[derive(Debug)]
struct Card {
    group: u32,
    serial: String,
    /// What a look at its namespace finds: nothing, `used`, `open` or `hidden`.
    namespace: &'static str,
}

/// One host with NVMe controllers.
#[derive(Debug)]
pub(super) struct FakeKernel {
    directory: tempfile::TempDir,
    roots: Roots,
    cards: RefCell<BTreeMap<String, Card>>,
    mounts: RefCell<BTreeSet<PathBuf>>,
    claimed: Rc<RefCell<BTreeSet<PathBuf>>>,
    /// Pages each node can have.
    pub(super) pages: Cell<u64>,
    /// The driver that takes no function, whatever is asked.
    pub(super) refusing: Cell<&'static str>,
    /// Huge pages that a program holds keep their mount.
    pub(super) busy: Cell<bool>,
    /// A driver of the kernel has another function of every group.
    pub(super) shared: Cell<bool>,
    /// VFIO makes a group of its own for a controller that has none.
    pub(super) makes_group: Cell<bool>,
    /// Steps until the program ends.
    pub(super) steps: Cell<Option<u32>>,
}

impl FakeKernel {
    /// A host with drivers and two nodes without huge pages, and no controller.
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let roots = Roots { sys: at("sys"), dev: at("dev"), proc: at("proc") };
        for driver in [KERNEL_DRIVER, "vfio-pci", "uio_pci_generic", "other"] {
            fs::create_dir_all(roots.sys.join("bus/pci/drivers").join(driver)).unwrap();
        }
        for place in ["sys/bus/pci/devices", "sys/class/block", "dev/vfio", "left"] {
            fs::create_dir_all(at(place)).unwrap();
        }
        fs::create_dir_all(at("proc/sys/kernel/random")).unwrap();
        fs::write(at("proc/meminfo"), "Hugepagesize:    2048 kB\n").unwrap();
        let kernel = Self {
            directory,
            roots,
            cards: RefCell::default(),
            mounts: RefCell::default(),
            claimed: Rc::default(),
            pages: Cell::new(1000),
            refusing: Cell::new(""),
            busy: Cell::new(false),
            shared: Cell::new(false),
            makes_group: Cell::new(false),
            steps: Cell::new(None),
        };
        kernel.boots("first");
        kernel
    }

    /// Puts a controller into a slot and gives it to the kernel's driver.
    pub(super) fn plug(&self, slot: &str, group: u32, serial: &str) {
        let place = self.place(slot);
        fs::create_dir_all(&place).unwrap();
        for (file, text) in [("class", "0x010802\n"), ("numa_node", "0\n"), ("driver_override", "")]
        {
            fs::write(place.join(file), text).unwrap();
        }
        symlink(format!("groups/{group}"), place.join("iommu_group")).unwrap();
        symlink(&place, self.roots.sys.join("bus/pci/devices").join(slot)).unwrap();
        let card = Card { group, serial: serial.to_owned(), namespace: "" };
        self.cards.borrow_mut().insert(slot.to_owned(), card);
        self.attach(slot, KERNEL_DRIVER);
    }

    /// Another card in the slot, while the host was off or by hot plug.
    pub(super) fn exchange(&self, slot: &str, serial: &str) {
        self.cards.borrow_mut().get_mut(slot).unwrap().serial = serial.to_owned();
    }

    /// A host without an IOMMU whose administrator has allowed VFIO all the same, and that then shows no group.
    pub(super) fn lose_group(&self, slot: &str) {
        fs::remove_file(self.place(slot).join("iommu_group")).unwrap();
        let parameters = self.roots.sys.join("module/vfio/parameters");
        fs::create_dir_all(&parameters).unwrap();
        fs::write(parameters.join("enable_unsafe_noiommu_mode"), "Y").unwrap();
    }

    /// Somebody begins or ends to use the namespace.
    pub(super) fn use_namespace(&self, slot: &str, used: bool) {
        self.set_namespace(slot, if used { "used" } else { "" });
    }

    /// Somebody opens the namespace without a claim, as a virtual machine does.
    pub(super) fn open_namespace(&self, slot: &str) {
        self.set_namespace(slot, "open");
    }

    /// Nobody may look at the namespace.
    pub(super) fn hide_namespace(&self, slot: &str) {
        self.set_namespace(slot, "hidden");
    }

    fn set_namespace(&self, slot: &str, text: &'static str) {
        let mut cards = self.cards.borrow_mut();
        let card = cards.get_mut(slot).unwrap();
        card.namespace = text;
        fs::write(self.node(card.group, "n1"), text).unwrap();
    }

    /// Somebody else, or an earlier program, gives a controller to a driver, or with "" takes its driver away.
    pub(super) fn give(&self, slot: &str, driver: &str) {
        self.detach(slot);
        if !driver.is_empty() {
            self.attach(slot, driver);
        }
    }

    /// A restart: the kernel has everything again, as it does by itself, under another boot id.
    pub(super) fn boots(&self, boot: &str) {
        fs::write(self.roots.proc.join("sys/kernel/random/boot_id"), boot).unwrap();
        for node in 0..2 {
            fs::create_dir_all(self.pages_of(node).parent().unwrap()).unwrap();
            self.set_pages(node, 0);
        }
        for mount in self.mounts.take() {
            fs::remove_dir(mount).unwrap();
        }
        let slots: Vec<_> = self.cards.borrow().keys().cloned().collect();
        for slot in slots {
            self.give(&slot, "");
            fs::write(self.place(&slot).join("driver_override"), "").unwrap();
            self.attach(&slot, KERNEL_DRIVER);
        }
    }

    /// An administrator mounts huge pages.
    pub(super) fn mount(&self, name: &str, mode: u32) -> PathBuf {
        let at = self.roots.dev.join(name);
        fs::create_dir_all(&at).unwrap();
        fs::set_permissions(&at, fs::Permissions::from_mode(mode)).unwrap();
        self.mounts.borrow_mut().insert(at.clone());
        at
    }

    pub(super) fn set_pages(&self, node: u32, pages: u64) {
        fs::write(self.pages_of(node), format!("{pages}\n")).unwrap();
    }

    pub(super) fn driver(&self, slot: &str) -> Option<String> {
        pci::link_name(&self.place(slot).join("driver"))
    }

    /// The directory in which SPDK leaves its locks.
    pub(super) fn left(&self) -> PathBuf {
        self.directory.path().join("left")
    }

    pub(super) fn state_dir(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// Everything a prepare may change: drivers, overrides, pages, mounts and owners.
    pub(super) fn snapshot(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for slot in self.cards.borrow().keys() {
            let chosen = fs::read_to_string(self.place(slot).join("driver_override")).unwrap();
            all.insert(slot.clone(), format!("{:?} {chosen:?}", self.driver(slot)));
        }
        for node in 0..2 {
            let pages = fs::read_to_string(self.pages_of(node)).unwrap();
            all.insert(format!("node {node}"), pages.trim().to_owned());
        }
        let devices = fs::read_dir(self.roots.dev.join("vfio")).unwrap();
        let devices = devices.map(|entry| entry.unwrap().path());
        for path in self.mounts.borrow().iter().cloned().chain(devices) {
            let facts = fs::metadata(&path).unwrap();
            let owner = format!("{}:{} {:o}", facts.uid(), facts.gid(), facts.mode());
            all.insert(path.display().to_string(), owner);
        }
        all
    }

    fn place(&self, slot: &str) -> PathBuf {
        self.roots.sys.join("devices").join(slot)
    }

    /// Each controller has one namespace, and is numbered by its group.
    fn node(&self, group: u32, namespace: &str) -> PathBuf {
        self.roots.dev.join(format!("nvme{group}{namespace}"))
    }

    fn pages_of(&self, node: u32) -> PathBuf {
        let place = format!("devices/system/node/node{node}/hugepages/hugepages-2048kB");
        self.roots.sys.join(place).join("nr_hugepages")
    }

    fn attach(&self, slot: &str, driver: &str) {
        if driver == self.refusing.get() {
            return;
        }
        let (place, cards) = (self.place(slot), self.cards.borrow());
        let Card { group, serial, namespace } = &cards[slot];
        symlink(self.roots.sys.join("bus/pci/drivers").join(driver), place.join("driver")).unwrap();
        match driver {
            KERNEL_DRIVER => {
                let (name, head) = (format!("nvme{group}"), format!("nvme{group}n1"));
                let class = place.join("nvme").join(&name);
                fs::create_dir_all(class.join(&head)).unwrap();
                for (file, text) in [("serial", serial.as_str()), ("model", "m"), ("state", "live")]
                {
                    fs::write(class.join(file), text).unwrap();
                }
                fs::write(class.join(&head).join("nsid"), "1").unwrap();
                fs::write(self.node(*group, ""), "").unwrap();
                fs::write(self.node(*group, "n1"), namespace).unwrap();
            }
            "vfio-pci" if pci::link_name(&place.join("iommu_group")).is_none() => {
                self.make_group(&place, *group);
            }
            "vfio-pci" => {
                let file = self.roots.dev.join(format!("vfio/{group}"));
                fs::write(&file, "").unwrap();
                fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
            }
            "uio_pci_generic" => {
                fs::create_dir_all(place.join(format!("uio/uio{group}"))).unwrap();
                fs::write(self.roots.dev.join(format!("uio{group}")), "").unwrap();
            }
            _ => {}
        }
    }

    /// What VFIO does where there is no IOMMU.
    fn make_group(&self, place: &Path, group: u32) {
        if !self.makes_group.get() {
            return;
        }
        let groups = self.roots.sys.join(format!("groups/{group}"));
        fs::create_dir_all(&groups).unwrap();
        fs::write(groups.join("name"), "vfio-noiommu").unwrap();
        symlink(groups, place.join("iommu_group")).unwrap();
        fs::write(self.roots.dev.join(format!("vfio/noiommu-{group}")), "").unwrap();
    }

    fn detach(&self, slot: &str) {
        let (place, cards) = (self.place(slot), self.cards.borrow());
        let group = cards[slot].group;
        for directory in ["nvme", "uio"] {
            let _absent = fs::remove_dir_all(place.join(directory));
        }
        let marked = self.roots.dev.join(format!("vfio/noiommu-{group}"));
        if fs::remove_file(marked).is_ok() {
            fs::remove_file(place.join("iommu_group")).unwrap();
        }
        let devices = [format!("nvme{group}"), format!("nvme{group}n1"), format!("uio{group}")];
        for file in devices.into_iter().chain([format!("vfio/{group}")]) {
            let _absent = fs::remove_file(self.roots.dev.join(file));
        }
        let _absent = fs::remove_file(place.join("driver"));
    }

    /// The program may end here.
    fn step(&self) {
        match self.steps.get() {
            None => {}
            // Not a panic: no message, and nothing of the program runs but what runs when it ends.
            Some(0) => std::panic::resume_unwind(Box::new(Cut)),
            Some(left) => self.steps.set(Some(left - 1)),
        }
    }

    fn unbind(&self, slot: &str) {
        let cards = self.cards.borrow();
        if self.driver(slot).as_deref() == Some(KERNEL_DRIVER) {
            let node = self.node(cards[slot].group, "n1");
            assert!(self.claimed.borrow().contains(&node), "{slot} taken without a claim");
            assert_eq!(cards[slot].namespace, "", "{slot} taken from under its user");
        }
        drop(cards);
        self.detach(slot);
    }

    fn probe(&self, slot: &str) {
        if self.driver(slot).is_some() {
            return;
        }
        let chosen = fs::read_to_string(self.place(slot).join("driver_override")).unwrap();
        self.attach(slot, if chosen.is_empty() { KERNEL_DRIVER } else { &chosen });
    }

    fn react(&self, attribute: &Path, value: &str) {
        let slot_of = |above: Option<&Path>| {
            above.and_then(Path::file_name).and_then(|name| name.to_str()).unwrap().to_owned()
        };
        match attribute.file_name().and_then(|name| name.to_str()).unwrap() {
            "unbind" => self.unbind(&slot_of(attribute.ancestors().nth(2))),
            "drivers_probe" => self.probe(value),
            "driver_override" => fs::write(attribute, value.trim()).unwrap(),
            "nr_hugepages" => {
                let pages = value.parse::<u64>().unwrap().min(self.pages.get());
                fs::write(attribute, format!("{pages}\n")).unwrap();
            }
            other => panic!("nobody should write {other}"),
        }
    }
}

/// Ends with the claim.
struct Claimed(PathBuf, Rc<RefCell<BTreeSet<PathBuf>>>);

impl Drop for Claimed {
    fn drop(&mut self) {
        self.1.borrow_mut().remove(&self.0);
    }
}

fn inspect(node: &Path) -> Result<DeviceFacts, BlockdevError> {
    let text =
        fs::read_to_string(node).map_err(|_| BlockdevError::NotFound { path: node.to_owned() })?;
    let mut facts = sim::kernel_device(&node.display().to_string(), 1, 1 << 30);
    match text.as_str() {
        "used" => facts.uses.push(DeviceUse::Swap),
        "open" => {
            let process = ProcessRef { pid: 7, name: "qemu".to_owned() };
            facts.uses.push(DeviceUse::OpenBy(process));
        }
        "hidden" => {
            let source = io::ErrorKind::PermissionDenied.into();
            let (path, action) = (node.to_owned(), "open the device");
            return Err(BlockdevError::AccessDenied { path, action, source });
        }
        _ => {}
    }
    Ok(facts)
}

impl Kernel for FakeKernel {
    fn roots(&self) -> &Roots {
        &self.roots
    }

    fn write(&self, attribute: &Path, value: &str) -> io::Result<()> {
        self.step();
        self.react(attribute, value);
        self.step();
        Ok(())
    }

    fn write_in_time(&self, attribute: &Path, value: &str, _limit: Duration) -> io::Result<()> {
        self.write(attribute, value)
    }

    fn inspect(&self) -> Inspect {
        inspect
    }

    fn claim(&self, identity: &DeviceIdentity) -> Result<Claim, BlockdevError> {
        let path = identity.path.clone();
        if fs::read_to_string(&path).unwrap() == "used" {
            return Err(BlockdevError::Busy { path });
        }
        self.claimed.borrow_mut().insert(path.clone());
        let claimed: Box<dyn Any> = Box::new(Claimed(path, Rc::clone(&self.claimed)));
        Ok(claimed)
    }

    fn group_is_viable(&self, group: &Path) -> io::Result<bool> {
        assert!(group.exists());
        Ok(!self.shared.get())
    }

    fn hugepage_mounts(&self) -> Result<Vec<PathBuf>, BdevError> {
        Ok(self.mounts.borrow().iter().cloned().collect())
    }

    fn mount_hugepages(&self, at: &Path) -> Result<(), BdevError> {
        self.step();
        fs::create_dir_all(at).unwrap();
        self.mounts.borrow_mut().insert(at.to_owned());
        self.step();
        Ok(())
    }

    fn unmount_hugepages(&self, at: &Path) -> Result<(), BdevError> {
        self.step();
        if self.busy.get() {
            let busy = io::Error::from(io::ErrorKind::ResourceBusy);
            return Err(BdevError::from_io(&at.display().to_string(), "unmount", busy));
        }
        assert!(self.mounts.borrow_mut().remove(at), "{} is not mounted", at.display());
        fs::remove_dir(at).unwrap();
        self.step();
        Ok(())
    }

    fn left_behind(&self) -> Vec<(PathBuf, &'static str)> {
        vec![(self.left(), "spdk_pci_lock_")]
    }
}
