//! Real loop devices, mounts and namespaces. What this process may not do is skipped and says so.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};

use daos_blockdev::testing::{
    ChildGuard, LoopDevice, LoopOver, MountGuard, Turn, must_run, run, skipped,
};
use daos_blockdev::{
    Content, DeviceKind, DeviceUse, EDGE_BYTES, ExclusiveClaim, HolderKind, SignatureKind,
    file_uses, holders_of_mount, identify, inspect, mount_at, openers_of_file, submounts_of,
};

const SIZE: u64 = 24 << 20;

fn has_tool(test: &str, name: &str) -> bool {
    let found = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
        .iter()
        .any(|dir| Path::new(dir).join(name).exists());
    if !found {
        skipped(test, &format!("the program {name}"));
    }
    found
}

fn write_at(device: &Path, offset: u64, bytes: &[u8]) {
    let file = OpenOptions::new().write(true).open(device).expect("open for writing");
    file.write_all_at(bytes, offset).expect("write");
    file.sync_all().expect("sync");
}

#[test]
fn a_fresh_device_is_blank_unused_and_known() {
    let Some(device) = LoopDevice::attach("a_fresh_device", SIZE) else { return };
    let facts = inspect(device.path()).expect("inspect");
    assert_eq!(facts.content, Content::Blank);
    assert_eq!(facts.uses, []);
    assert!(!facts.read_only);
    assert!(!facts.dax);
    assert_eq!(facts.identity.size_bytes, SIZE);
    assert_eq!(facts.identity.sector_bytes, 512);
    assert_eq!(facts.identity.number.major, 7);
    assert!(facts.identity.is_loop());
    assert_eq!(
        facts.identity.kind,
        DeviceKind::Loop { backing_file: Some(device.backing_file().to_owned()) }
    );
    assert_eq!(identify(device.path()).expect("identify"), facts.identity);
}

#[test]
fn what_is_no_block_device_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("directory");
    assert_eq!(inspect(dir.path()).expect_err("directory").code(), 1216);
    assert_eq!(inspect(Path::new("/dev/null")).expect_err("character device").code(), 1216);
    let absent = dir.path().join("absent");
    assert_eq!(inspect(&absent).expect_err("absent").code(), 1215);
    let file = dir.path().join("file");
    File::create(&file).expect("file");
    let error = identify(&file).expect_err("regular file");
    assert_eq!(
        error.to_string(),
        format!("{}: not a block device, but a regular file", file.display())
    );
}

#[test]
fn a_mounted_file_system_is_named_and_in_use_until_unmounted() {
    let test = "a_mounted_file_system";
    let _turn = Turn::shared();
    let Some(device) = LoopDevice::attach(test, SIZE) else { return };
    must_run("mkfs.ext4", &["-q", "-L", "my label", device.path_str()]);
    let facts = inspect(device.path()).expect("inspect");
    assert_eq!(facts.uses, []);
    let [signature] = facts.content.signatures() else { panic!("{}", facts.content) };
    assert_eq!((signature.kind, signature.name.as_str()), (SignatureKind::FileSystem, "ext4"));
    assert_eq!(signature.label.as_deref(), Some("my label"));
    assert!(signature.uuid.is_some());
    assert!(!signature.is_daos());

    let dir = tempfile::tempdir().expect("directory");
    let target = dir.path().join("mount point with blanks é");
    fs::create_dir(&target).expect("target");
    let Some(mount) = MountGuard::device(test, device.path(), &target) else { return };
    let facts = inspect(device.path()).expect("inspect");
    assert!(facts.uses.contains(&DeviceUse::MountedHere { mount_point: target.clone() }));
    assert!(!facts.uses.contains(&DeviceUse::BusyExclusive), "the mount explains it");
    let error = ExclusiveClaim::take(&facts.identity).expect_err("mounted");
    assert_eq!(error.code(), 1220);

    let entry = mount_at(&target).expect("mount table").expect("a mount");
    assert_eq!(entry.device, facts.identity.number);
    assert_eq!(entry.fs_type, "ext4");
    drop(mount);
    assert!(mount_at(&target).expect("mount table").is_none());
    assert_eq!(inspect(device.path()).expect("inspect").uses, []);
}

#[test]
fn a_mount_in_another_namespace_is_found() {
    let test = "a_mount_in_another_namespace";
    let _turn = Turn::alone();
    let Some(device) = LoopDevice::attach(test, SIZE) else { return };
    must_run("mkfs.ext4", &["-q", device.path_str()]);
    let dir = tempfile::tempdir().expect("directory");
    let target = dir.path().to_str().expect("UTF-8");
    // Mounts inside its own namespace, says so, and stays until its input is closed.
    let script = "mount \"$0\" \"$1\" && echo mounted && read wait";
    let mut child = Command::new("unshare")
        .args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            script,
            device.path_str(),
            target,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map(ChildGuard)
        .expect("unshare");
    let mut said = String::new();
    let stdout = child.0.stdout.take().expect("piped");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut said).expect("read");
    if said.trim() != "mounted" {
        skipped(test, "root");
        return;
    }
    let facts = inspect(device.path()).expect("inspect");
    let seen = facts.uses.iter().any(|used| {
        matches!(used, DeviceUse::MountedInOtherNamespace { mount_point, .. } if mount_point == dir.path())
    });
    assert!(seen, "{:?}", facts.uses);
    assert!(mount_at(dir.path()).expect("mount table").is_none(), "not mounted here");
    assert_eq!(ExclusiveClaim::take(&facts.identity).expect_err("mounted").code(), 1220);
    drop(child.0.stdin.take());
    child.0.wait().expect("end of the namespace");
}

#[test]
fn signatures_of_every_kind_are_told_apart() {
    let test = "signatures_of_every_kind";
    let Some(device) = LoopDevice::attach(test, SIZE) else { return };
    must_run("mkswap", &["-q", device.path_str()]);
    let kinds = |path: &Path| -> Vec<SignatureKind> {
        let facts = inspect(path).expect("inspect");
        facts.content.signatures().iter().map(|signature| signature.kind).collect()
    };
    assert_eq!(kinds(device.path()), [SignatureKind::Swap]);

    let claim_and_erase = || {
        let identity = identify(device.path()).expect("identify");
        ExclusiveClaim::take(&identity).expect("claim").erase().expect("erase");
        assert_eq!(inspect(device.path()).expect("inspect").content, Content::Blank);
    };
    claim_and_erase();

    // A DOS partition table with one partition, which this kernel need not understand.
    let mut table = [0u8; 512];
    table[440..444].copy_from_slice(&[1, 2, 3, 4]);
    table[446 + 4] = 0x83;
    table[446 + 8..446 + 12].copy_from_slice(&2048u32.to_le_bytes());
    table[446 + 12..446 + 16].copy_from_slice(&4096u32.to_le_bytes());
    table[510..].copy_from_slice(&[0x55, 0xaa]);
    write_at(device.path(), 0, &table);
    assert_eq!(kinds(device.path()), [SignatureKind::PartitionTable]);
    claim_and_erase();

    // An LVM label as pvcreate writes it: in the second sector, with its checksum.
    write_at(device.path(), 512, &lvm_label());
    assert_eq!(kinds(device.path()), [SignatureKind::LvmMember]);
    claim_and_erase();

    // A LUKS1 header: magic, version, cipher names and a uuid.
    let mut luks = vec![0u8; 592];
    luks[..8].copy_from_slice(b"LUKS\xba\xbe\x00\x01");
    luks[168..204].copy_from_slice(b"5f2c8a10-0000-4000-8000-000000000001");
    write_at(device.path(), 0, &luks);
    assert_eq!(kinds(device.path()), [SignatureKind::Luks]);
    claim_and_erase();

    write_at(device.path(), 0, b"DAOSIOBD\x01\0\0\0");
    assert_eq!(kinds(device.path()), [SignatureKind::DaosBlockDevice]);
    assert!(inspect(device.path()).expect("inspect").content.signatures()[0].is_daos());
    write_at(device.path(), 0, b"SPDKBLOB");
    assert_eq!(kinds(device.path()), [SignatureKind::Blobstore]);
    claim_and_erase();

    write_at(device.path(), SIZE - 100, b"x");
    let content = inspect(device.path()).expect("inspect").content;
    assert_eq!(content, Content::Unrecognised { first_data: SIZE - 100 });
}

/// Label sector of an LVM2 physical volume.
fn lvm_label() -> [u8; 512] {
    let mut label = [0u8; 512];
    label[..8].copy_from_slice(b"LABELONE");
    label[8..16].copy_from_slice(&1u64.to_le_bytes()); // the sector it lies in
    label[20..24].copy_from_slice(&32u32.to_le_bytes()); // where its contents start
    label[24..32].copy_from_slice(b"LVM2 001");
    label[32..64].copy_from_slice(b"0123456789abcdefghijklmnopqrstuv");
    let crc = lvm_crc(&label[20..]);
    label[16..20].copy_from_slice(&crc.to_le_bytes());
    label
}

/// CRC-32 of LVM: the common polynomial, started with its own value and not inverted.
fn lvm_crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0xf597_a6cf, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

#[test]
fn a_loop_device_over_the_device_holds_it() {
    let test = "a_loop_device_over_the_device";
    let Some(lower) = LoopDevice::attach(test, SIZE) else { return };
    let Some(upper) = LoopOver::attach(test, lower.path()) else { return };
    let name = upper.path().file_name().expect("name").to_string_lossy().into_owned();
    let facts = inspect(lower.path()).expect("inspect");
    assert!(
        facts.uses.contains(&DeviceUse::HeldBy { kind: HolderKind::Loop, name }),
        "{:?}",
        facts.uses
    );
}

#[test]
fn a_file_under_a_loop_device_is_in_use_even_after_a_rename() {
    let Some(device) = LoopDevice::attach("a_file_under_a_loop_device", SIZE) else { return };
    let name = device.path().file_name().expect("name").to_string_lossy().into_owned();
    let held = DeviceUse::HeldBy { kind: HolderKind::Loop, name };
    assert!(file_uses(device.backing_file()).expect("uses").contains(&held));
    let renamed = device.backing_file().with_file_name("renamed");
    fs::rename(device.backing_file(), &renamed).expect("rename");
    assert!(file_uses(&renamed).expect("uses").contains(&held));
}

#[test]
fn a_device_mapper_target_holds_its_device() {
    let test = "a_device_mapper_target";
    let Some(device) = LoopDevice::attach(test, SIZE) else { return };
    if !has_tool(test, "dmsetup") {
        return;
    }
    struct Mapped(String);
    impl Drop for Mapped {
        fn drop(&mut self) {
            let _ = run("dmsetup", &["remove", &self.0]);
        }
    }
    let name = format!("daos-test-{}", std::process::id());
    let table = format!("0 {} linear {} 0", SIZE / 512, device.path_str());
    let made = run("dmsetup", &["create", &name, "--table", &table]).expect("dmsetup");
    if !made.status.success() {
        skipped(test, "device mapper in the kernel");
        return;
    }
    let mapped = Mapped(name);
    let facts = inspect(device.path()).expect("inspect");
    let held = DeviceUse::HeldBy { kind: HolderKind::Dm, name: mapped.0.clone() };
    assert!(facts.uses.contains(&held), "{:?}", facts.uses);
    assert_eq!(ExclusiveClaim::take(&facts.identity).expect_err("held").code(), 1220);
}

#[test]
fn partitions_are_a_use_of_the_whole_device() {
    let test = "partitions_are_a_use";
    let Some(device) = LoopDevice::attach(test, SIZE) else { return };
    if !has_tool(test, "addpart") {
        return;
    }
    must_run("addpart", &[device.path_str(), "1", "2048", "8192"]);
    let name = format!("{}p1", device.path().file_name().expect("name").to_string_lossy());
    let facts = inspect(device.path());
    let partition = identify(&Path::new("/dev").join(&name));
    let _ = run("delpart", &[device.path_str(), "1"]);
    assert_eq!(facts.expect("inspect").uses, [DeviceUse::Partitions { names: vec![name] }]);
    match partition {
        Ok(partition) => {
            let parent = device.path().file_name().expect("name").to_string_lossy().into_owned();
            assert_eq!(partition.kind, DeviceKind::Partition { parent });
            assert_eq!(partition.size_bytes, 8192 * 512);
        }
        // Nodes of partitions appear a little later, or not at all in a container.
        Err(error) => assert_eq!(error.code(), 1215, "{error}"),
    }
}

#[test]
fn active_swap_is_in_use() {
    let test = "active_swap_is_in_use";
    let Some(device) = LoopDevice::attach(test, SIZE) else { return };
    struct SwapOn<'a>(&'a str);
    impl Drop for SwapOn<'_> {
        fn drop(&mut self) {
            let _ = run("swapoff", &[self.0]);
        }
    }
    must_run("mkswap", &["-q", device.path_str()]);
    let swapon = run("swapon", &["--priority", "0", device.path_str()]);
    if !swapon.is_ok_and(|output| output.status.success()) {
        skipped(test, "the right to switch swap on");
        return;
    }
    let _swap = SwapOn(device.path_str());
    let facts = inspect(device.path()).expect("inspect");
    assert!(facts.uses.contains(&DeviceUse::Swap), "{:?}", facts.uses);
}

#[test]
fn a_process_that_has_the_device_or_file_open_is_named() {
    let test = "a_process_that_has_the_device_open";
    let dir = tempfile::tempdir().expect("directory");
    let file = dir.path().join("block file");
    fs::write(&file, b"x").expect("file");
    let opener = |path: &Path| {
        Command::new("sleep")
            .arg("600")
            .stdin(File::open(path).expect("open"))
            .spawn()
            .map(ChildGuard)
            .expect("sleep")
    };
    let open_by = |uses: &[DeviceUse], child: &ChildGuard| {
        uses.iter()
            .any(|used| matches!(used, DeviceUse::OpenBy(process) if process.pid == child.0.id()))
    };
    let child = opener(&file);
    assert!(open_by(&file_uses(&file).expect("uses"), &child));
    drop(child);
    assert_eq!(file_uses(&file).expect("uses"), []);

    let Some(device) = LoopDevice::attach(test, SIZE) else { return };
    let child = opener(device.path());
    assert!(open_by(&inspect(device.path()).expect("inspect").uses, &child));
}

/// libvirt and container runtimes make nodes of their own for the devices that they pass on.
#[test]
fn a_process_that_has_a_device_open_through_another_node_is_named() {
    let test = "a_device_open_through_another_node";
    let dir = tempfile::tempdir().expect("directory");
    let node = dir.path().join("node");
    let made = run("mknod", &[node.to_str().expect("UTF-8"), "c", "1", "7"]);
    let made = made.is_ok_and(|output| output.status.success());
    // A file system without devices lets it be made, but not opened.
    let Some(opened) = made.then(|| File::open(&node).ok()).flatten() else {
        skipped(test, "the right to make a device node");
        return;
    };
    let mut sleep = Command::new("sleep");
    let child = sleep.arg("600").stdin(opened).spawn().map(ChildGuard).expect("sleep");
    let openers = openers_of_file(Path::new("/dev/full")).expect("openers");
    assert!(openers.iter().any(|process| process.pid == child.0.id()), "{openers:?}");
    // Another device is another one, also where its node lies beside.
    let others = openers_of_file(Path::new("/dev/zero")).expect("openers");
    assert!(others.iter().all(|process| process.pid != child.0.id()), "{others:?}");
}

#[test]
fn the_claim_excludes_others_and_notices_another_device() {
    let test = "the_claim_excludes_others";
    let Some(device) = LoopDevice::attach(test, SIZE) else { return };
    let identity = identify(device.path()).expect("identify");
    let claim = ExclusiveClaim::take(&identity).expect("first claim");
    assert_eq!(ExclusiveClaim::take(&identity).expect_err("second claim").code(), 1220);
    assert_eq!(inspect(device.path()).expect("inspect").uses, [DeviceUse::BusyExclusive]);
    // The right device, but grown since the plan was made.
    fs::OpenOptions::new()
        .write(true)
        .open(device.backing_file())
        .and_then(|file| file.set_len(2 * SIZE))
        .expect("grow the file");
    must_run("losetup", &["--set-capacity", device.path_str()]);
    let error = claim.erase().expect_err("grown");
    assert_eq!(error.code(), 1221, "{error}");
    drop(claim);
    assert_eq!(ExclusiveClaim::take(&identity).expect_err("grown").code(), 1221);

    // Another device at the number of the planned one.
    let Some(other) = LoopDevice::attach(test, SIZE) else { return };
    let mut moved = identify(other.path()).expect("identify");
    moved.disk_sequence = moved.disk_sequence.map(|sequence| sequence + 1000);
    if moved.disk_sequence.is_some() {
        assert_eq!(ExclusiveClaim::take(&moved).expect_err("attached anew").code(), 1221);
    }
}

#[test]
fn erase_clears_both_ends_and_leaves_the_middle() {
    let Some(device) = LoopDevice::attach("erase_clears_both_ends", SIZE) else { return };
    for offset in
        [0, EDGE_BYTES - 1, EDGE_BYTES, SIZE - EDGE_BYTES - 1, SIZE - EDGE_BYTES, SIZE - 1]
    {
        write_at(device.path(), offset, b"x");
    }
    let identity = identify(device.path()).expect("identify");
    ExclusiveClaim::take(&identity).expect("claim").erase().expect("erase");
    let file = File::open(device.path()).expect("open");
    let read = |offset| {
        let mut byte = [9u8];
        file.read_exact_at(&mut byte, offset).expect("read");
        byte[0]
    };
    assert_eq!([read(0), read(EDGE_BYTES - 1), read(SIZE - EDGE_BYTES), read(SIZE - 1)], [0; 4]);
    assert_eq!([read(EDGE_BYTES), read(SIZE - EDGE_BYTES - 1)], [b'x'; 2]);
}

#[test]
fn a_device_that_cannot_be_read_is_an_error_and_not_blank() {
    let test = "a_device_that_cannot_be_read";
    let Some(device) = LoopDevice::attach(test, SIZE) else { return };
    // Pulled out under the driver: reads beyond the end of the file fail.
    File::options()
        .write(true)
        .open(device.backing_file())
        .and_then(|file| file.set_len(0))
        .expect("shorten");
    let error = inspect(device.path()).expect_err("unreadable");
    assert!([1219, 1222].contains(&error.code()), "{error}");
}

#[test]
fn holders_and_submounts_of_a_busy_mount_are_named() {
    let test = "holders_and_submounts";
    let dir = tempfile::tempdir().expect("directory");
    let target = dir.path().join("scm 0");
    fs::create_dir(&target).expect("target");
    assert_eq!(holders_of_mount(&target).expect("not mounted"), []);
    let Some(mount) = MountGuard::tmpfs(test, &target) else { return };
    assert_eq!(holders_of_mount(mount.target()).expect("nobody"), []);
    let inside = Command::new("sleep")
        .arg("600")
        .current_dir(&target)
        .spawn()
        .map(ChildGuard)
        .expect("sleep");
    let holders = holders_of_mount(&target).expect("holders");
    assert_eq!(holders.iter().map(|holder| holder.pid).collect::<Vec<_>>(), [inside.0.id()]);
    assert_eq!(holders[0].name, "sleep");
    drop(inside);

    let nested = target.join("nested");
    fs::create_dir(&nested).expect("nested");
    let Some(_nested) = MountGuard::tmpfs(test, &nested) else { return };
    let below = submounts_of(&target).expect("submounts");
    assert_eq!(below.iter().map(|entry| entry.mount_point.as_path()).collect::<Vec<_>>(), [nested]);
}

#[test]
fn the_file_system_of_a_path_is_told() {
    use daos_blockdev::{FilesystemKind, filesystem_of};
    let dir = tempfile::tempdir().expect("directory");
    let plain = filesystem_of(dir.path()).expect("some file system");
    assert!(plain.total_bytes > 0);
    assert_eq!(filesystem_of(&dir.path().join("absent")).expect_err("absent").code(), 1215);
    let target = dir.path().to_str().expect("UTF-8");
    let options = ["-t", "tmpfs", "-o", "size=8m,nosuid", "tmpfs", target];
    let Some(_mount) = MountGuard::mount("the_file_system_of_a_path", &options) else { return };
    let tmpfs = filesystem_of(dir.path()).expect("tmpfs");
    assert_eq!(tmpfs.kind, FilesystemKind::Tmpfs);
    assert!(tmpfs.nosuid);
    assert_eq!(tmpfs.total_bytes, 8 << 20);
    let entry = mount_at(dir.path()).expect("mount table").expect("a mount");
    assert_eq!(entry.super_option("size"), Some("8192k"));
}
