//! Every body of the crate against the suite, on real files and loop devices where it has any.

use std::any::Any;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use daos_blockdev::testing::{ChildGuard, LoopDevice};
use daos_blockdev::{Content, DeviceUse, Signature, SignatureKind};
use daos_storage_nvme::aio::AioBdev;
use daos_storage_nvme::conformance::{self, Bench, Put};
use daos_storage_nvme::kdev::KdevBdev;
use daos_storage_nvme::malloc::MallocBdev;
use daos_storage_nvme::model::{FileContent, FileState};
use daos_storage_nvme::sim::{
    Script, SimBdev, SimPoint, World, blank_file, blank_namespaces, controller, kernel_device,
};
use daos_storage_nvme::{
    BdevClass, BdevProvider, BdevTarget, BdevTier, ByClass, DeviceRef, DeviceState, FileOwner,
    Roles, TierDevices,
};
use tempfile::TempDir;

const GIB: u64 = 1 << 30;

fn target(tiers: Vec<TierDevices>) -> BdevTarget {
    let tiers = tiers.into_iter().zip(1..);
    BdevTarget {
        engine: 0,
        host: "bench_host".to_owned(),
        owner: FileOwner::current(),
        tiers: tiers
            .map(|(devices, tier)| BdevTier { tier, roles: Roles::NONE, devices })
            .collect(),
    }
}

/// On the disk of the build, since the directory for temporary files may be memory.
fn temporary() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("temporary directory")
}

const FOREIGN: &[u8] = b"somebody's precious data";

fn foreign_at(path: &Path, offset: u64) -> bool {
    let mut found = vec![0; FOREIGN.len()];
    let file = File::open(path);
    file.and_then(|file| file.read_exact_at(&mut found, offset)).is_ok() && found == FOREIGN
}

fn open_in_another_process(path: &Path) -> Box<dyn Any + Send> {
    let file = File::open(path).expect("open");
    let child = Command::new("sleep").arg("600").stdin(file).spawn().expect("sleep");
    Box::new(ChildGuard(child))
}

/// Files of 1 GiB with blanks in their names.
struct FileBench {
    dir: TempDir,
    provider: Arc<dyn BdevProvider>,
    extra: Option<TierDevices>,
}

impl FileBench {
    fn new() -> Self {
        let dir = temporary();
        fs::create_dir(dir.path().join("a directory")).expect("directory");
        Self { dir, provider: Arc::new(AioBdev), extra: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Bench for FileBench {
    fn provider(&self) -> Arc<dyn BdevProvider> {
        Arc::clone(&self.provider)
    }

    fn target(&self) -> BdevTarget {
        let paths = vec![self.path("a directory/first"), self.path("second file")];
        let mut tiers = vec![TierDevices::File { paths, size_gib: 1 }];
        tiers.extend(self.extra.clone());
        target(tiers)
    }

    fn put(&self, device: &DeviceRef, what: Put) -> bool {
        let options = File::options().write(true).create(true).truncate(false).open(&device.name);
        let file = options.expect("open");
        file.set_len(GIB).expect("size");
        let (bytes, offset) =
            if what == Put::Foreign { (FOREIGN, GIB / 2) } else { (&b"DAOSIOBD\x01"[..], 0) };
        file.write_all_at(bytes, offset).expect("write");
        true
    }

    fn foreign_is_intact(&self, device: &DeviceRef) -> bool {
        foreign_at(Path::new(&device.name), GIB / 2)
    }

    fn occupy(&self, device: &DeviceRef) -> Option<Box<dyn Any + Send>> {
        Some(open_in_another_process(Path::new(&device.name)))
    }

    fn break_device(&self, device: &DeviceRef) -> bool {
        let directory = Path::new(&device.name).parent().expect("directory");
        fs::remove_dir_all(directory).expect("remove");
        File::create(directory).expect("a file where the directory was");
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files() {
    conformance::run(|_| Some(Box::new(FileBench::new()))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_memory_through_the_router() {
    conformance::run(|_| {
        let provider = Arc::new(ByClass::emulated());
        let extra = Some(TierDevices::Malloc { count: 2, size_gib: 1 });
        Some(Box::new(FileBench { provider, extra, ..FileBench::new() }))
    })
    .await;
}

/// Two loop devices.
struct LoopBench {
    devices: Vec<LoopDevice>,
    paths: Vec<PathBuf>,
}

impl LoopBench {
    fn new(case: &str) -> Option<Self> {
        let devices =
            vec![LoopDevice::attach(case, 24 << 20)?, LoopDevice::attach(case, 24 << 20)?];
        let paths = devices.iter().map(|device| device.path().to_owned()).collect();
        Some(Self { devices, paths })
    }
}

impl Bench for LoopBench {
    fn provider(&self) -> Arc<dyn BdevProvider> {
        Arc::new(KdevBdev)
    }

    fn target(&self) -> BdevTarget {
        target(vec![TierDevices::Kdev { paths: self.paths.clone() }])
    }

    fn put(&self, device: &DeviceRef, what: Put) -> bool {
        let file = File::options().write(true).open(&device.name).expect("open");
        let (bytes, offset) =
            if what == Put::Foreign { (FOREIGN, 8192) } else { (&b"DAOSIOBD\x01"[..], 0) };
        file.write_all_at(bytes, offset).expect("write");
        file.sync_all().expect("sync");
        true
    }

    fn foreign_is_intact(&self, device: &DeviceRef) -> bool {
        foreign_at(Path::new(&device.name), 8192)
    }

    fn occupy(&self, device: &DeviceRef) -> Option<Box<dyn Any + Send>> {
        Some(open_in_another_process(Path::new(&device.name)))
    }

    fn break_device(&self, device: &DeviceRef) -> bool {
        let broken = self.devices.iter().find(|d| d.path() == Path::new(&device.name));
        let backing = broken.expect("one of ours").backing_file();
        // Reads beyond the end of the file fail from now on. (Detaching could be put off by whoever looks at it.)
        File::options().write(true).open(backing).and_then(|f| f.set_len(0)).expect("shorten");
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kernel_devices() {
    conformance::run(|case| LoopBench::new(case).map(|bench| Box::new(bench) as Box<dyn Bench>))
        .await;
}

struct MallocBench;

impl Bench for MallocBench {
    fn provider(&self) -> Arc<dyn BdevProvider> {
        Arc::new(MallocBdev)
    }

    fn target(&self) -> BdevTarget {
        target(vec![TierDevices::Malloc { count: 3, size_gib: 1 }])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory() {
    conformance::run(|_| Some(Box::new(MallocBench))).await;
}

/// A simulated host with two devices of one class.
struct SimBench {
    provider: SimBdev,
    class: BdevClass,
}

impl SimBench {
    fn new(class: BdevClass) -> Self {
        let mut world = World::default();
        for (minor, name) in (0..).zip(Self::names(class)) {
            match class {
                BdevClass::Kdev => {
                    world.put(name, DeviceState::Kernel(kernel_device(name, minor, GIB)));
                }
                BdevClass::Nvme => {
                    let address = name.parse().expect("address");
                    let state = blank_namespaces(controller(address, 2, GIB));
                    world.put(name, DeviceState::Nvme(state));
                }
                BdevClass::File | BdevClass::Malloc => {}
            }
        }
        Self { provider: SimBdev::new(world, Script::default()), class }
    }

    fn names(class: BdevClass) -> [&'static str; 2] {
        match class {
            BdevClass::Nvme => ["0000:81:00.0", "0000:82:00.0"],
            _ => ["/dev/first", "/dev/second"],
        }
    }
}

fn content(what: Put) -> Content {
    let (kind, name) = match what {
        Put::Foreign => (SignatureKind::FileSystem, "xfs"),
        Put::Ours => (SignatureKind::DaosBlockDevice, "DAOSIOBD"),
    };
    let name = name.to_owned();
    Content::Signatures(vec![Signature { kind, name, label: None, uuid: None }])
}

impl Bench for SimBench {
    fn provider(&self) -> Arc<dyn BdevProvider> {
        Arc::new(self.provider.clone())
    }

    fn target(&self) -> BdevTarget {
        let names = Self::names(self.class);
        let paths = names.iter().map(PathBuf::from).collect();
        target(vec![match self.class {
            BdevClass::File => TierDevices::File { paths, size_gib: 1 },
            BdevClass::Kdev => TierDevices::Kdev { paths },
            BdevClass::Malloc => TierDevices::Malloc { count: 2, size_gib: 1 },
            BdevClass::Nvme => TierDevices::Nvme {
                addresses: names.iter().map(|name| name.parse().expect("address")).collect(),
            },
        }])
    }

    fn put(&self, device: &DeviceRef, what: Put) -> bool {
        self.provider.change(|world| {
            if self.class == BdevClass::File {
                let mut facts = blank_file(GIB);
                facts.inode = 1000 + u64::from(device.index);
                facts.content = FileContent::Data(content(what));
                world.put(device.name.clone(), DeviceState::File(FileState::Present(facts)));
            }
            match world.get_mut(&device.name) {
                Some(DeviceState::Kernel(facts)) => facts.content = content(what),
                Some(DeviceState::Nvme(state)) => state.contents[1].content = Some(content(what)),
                Some(DeviceState::File(_)) => {}
                _ => return false,
            }
            true
        })
    }

    fn foreign_is_intact(&self, device: &DeviceRef) -> bool {
        let foreign = content(Put::Foreign);
        self.provider.change(|world| match world.get_mut(&device.name) {
            Some(DeviceState::Kernel(facts)) => facts.content == foreign,
            Some(DeviceState::Nvme(state)) => state.contents[1].content == Some(foreign),
            Some(DeviceState::File(FileState::Present(facts))) => {
                facts.content == FileContent::Data(foreign)
            }
            _ => false,
        })
    }

    fn occupy(&self, device: &DeviceRef) -> Option<Box<dyn Any + Send>> {
        struct Occupied(SimBdev, String);
        impl Drop for Occupied {
            fn drop(&mut self) {
                set_uses(&self.0, &self.1, Vec::new());
            }
        }
        set_uses(&self.provider, &device.name, vec![DeviceUse::Swap]);
        Some(Box::new(Occupied(self.provider.clone(), device.name.clone())))
    }

    fn break_device(&self, device: &DeviceRef) -> bool {
        self.provider.rewrite(|script| {
            let name = &device.name;
            *script = script.clone().fail(name, SimPoint::Observe).fail(name, SimPoint::Step(0));
        });
        if self.class != BdevClass::File {
            self.provider.change(|world| world.remove(&device.name));
        }
        self.class != BdevClass::Malloc
    }
}

fn set_uses(provider: &SimBdev, name: &str, uses: Vec<DeviceUse>) {
    provider.change(|world| match world.get_mut(name) {
        Some(DeviceState::Kernel(facts)) => facts.uses = uses,
        Some(DeviceState::File(FileState::Present(facts))) => facts.uses = uses,
        Some(DeviceState::Nvme(state)) => state.controller.namespaces[0].uses = uses,
        _ => {}
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn simulated_devices_of_every_class() {
    for class in [BdevClass::File, BdevClass::Kdev, BdevClass::Nvme, BdevClass::Malloc] {
        conformance::run(|_| Some(Box::new(SimBench::new(class)))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn simulated_nvme_beside_real_bodies_through_the_router() {
    let sim = SimBench::new(BdevClass::Nvme);
    let router = ByClass::emulated().with(BdevClass::Nvme, sim.provider());
    let observed = router.observe(&sim.target()).await;
    let states: BTreeMap<_, _> =
        observed.into_iter().map(|seen| (seen.device.name, seen.state)).collect();
    assert_eq!(states.len(), 2);
    assert!(states.values().all(Result::is_ok), "{states:?}");

    let without = ByClass::emulated().observe(&sim.target()).await;
    for seen in without {
        assert_eq!(seen.state.expect_err("no body for nvme").code(), 1231);
    }
}
