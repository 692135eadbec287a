//! What a start tells in its log, in which form and where.

mod rig;

use std::fs;
use std::path::Path;

use daos_blockdev::testing::LoopDevice;
use daos_control::testing::HostRig;
use rig::{Result, formatted, host, plain_host, skip_without_mount_right, with_tiers};

const WAITING: &str = "waiting for storage format on server 0";

/// A host with further keys at the top level of its configuration.
fn host_with(keys: &str) -> Result<HostRig> {
    let host = plain_host(1)?;
    host.write_config(&format!("{keys}{}", host.default_config()))?;
    Ok(host)
}

/// Starts a server up to its wait for a format, ends it, and returns its lines.
async fn started(mut host: HostRig, arguments: &[&str]) -> Result<Vec<String>> {
    host.start_server(arguments)?;
    host.wait_for_log(WAITING, 1).await?;
    let (status, lines) = host.stop_server().await?;
    assert!(status.success(), "{status}: {lines:#?}");
    host.clear().await?;
    Ok(lines)
}

#[track_caller]
fn position(lines: &[String], words: &str) -> usize {
    let found = lines.iter().position(|line| line.contains(words));
    found.unwrap_or_else(|| panic!("{words:?} is not in {lines:#?}"))
}

#[tokio::test]
async fn r9_r10_r11_the_start_tells_its_configuration() -> Result<()> {
    let mut host = host_with("control_log_mask: DEBUG\n")?;
    let config = host.file("daos_server.yml").display().to_string();
    let saved = host.file(".daos_server.active.yml").display().to_string();
    host.start_server(&[])?;
    host.wait_for_log(WAITING, 1).await?;
    // It is saved beside the start, which does not wait for the disk.
    host.wait_for_log("Active config saved", 1).await?;
    let (status, lines) = host.stop_server().await?;
    assert!(status.success(), "{status}: {lines:#?}");
    host.clear().await?;
    let read = position(&lines, &format!("DAOS config read from {config}"));
    let level = position(&lines, "Switching control log level to DEBUG");
    let active = position(&lines, &format!("Active config saved to {saved} (read-only)"));
    let listening = position(&lines, "listening on 0.0.0.0:");
    let waiting = position(&lines, WAITING);
    assert!(read < level && level < active && level < listening && listening < waiting);
    for index in [read, level, active] {
        assert!(lines[index].contains(" DEBUG "), "{}", lines[index]);
    }

    let quiet = started(host_with("")?, &[]).await?;
    assert!(!quiet.iter().any(|line| line.contains(" DEBUG ")), "{quiet:#?}");
    let forced = started(host_with("control_log_mask: ERROR\n")?, &["--debug"]).await?;
    position(&forced, "DAOS config read from");
    assert!(!forced.iter().any(|line| line.contains("Switching")), "the option wins: {forced:#?}");
    Ok(())
}

#[tokio::test]
async fn r12_every_line_names_the_host() -> Result<()> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let lines = started(host_with("control_log_mask: DEBUG\n")?, &["-t", "2"]).await?;
    for line in &lines {
        let rest = line.strip_prefix(&format!("{name} "));
        let level = rest.and_then(|rest| rest.split(' ').next());
        assert!(matches!(level, Some("DEBUG" | "INFO" | "NOTICE" | "ERROR")), "{line}");
    }
    position(&lines, "no control_log_file is set");
    Ok(())
}

#[tokio::test]
async fn r49_the_log_goes_to_its_file_as_well() -> Result<()> {
    let directory = tempfile::tempdir()?;
    // The server may be another user than the test.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(directory.path(), open)?;
    let file = directory.path().join("control.log");
    fs::write(&file, "what was there before\n")?;
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
    let host = host_with(&format!("control_log_file: {}\n", file.display()))?;
    let lines = started(host, &[]).await?;
    position(&lines, WAITING);
    let text = fs::read_to_string(&file)?;
    assert!(text.starts_with("what was there before\n"), "appended: {text}");
    for line in &lines {
        assert!(text.lines().any(|written| written == line), "{line:?} is not in {text}");
    }
    Ok(())
}

#[tokio::test]
async fn r52_lines_can_be_json_objects() -> Result<()> {
    let by_option = started(host_with("")?, &["-J"]).await?;
    let by_key = started(host_with("control_log_json: true\n")?, &[]).await?;
    for line in by_option.iter().chain(&by_key) {
        let object: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let object = object.as_object().expect("an object");
        let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["extra", "level", "message", "source", "time"]);
        let time = object["time"].as_str().expect("a time");
        assert!(time.len() == 27 && time.contains('T') && time.ends_with('Z'), "{time}");
    }
    position(&by_option, WAITING);
    position(&by_key, WAITING);
    Ok(())
}

#[tokio::test]
async fn e14_a_log_file_that_cannot_be_made_stops_the_start() -> Result<()> {
    let mut host = host_with("control_log_file: /proc/no/such.log\n")?;
    host.start_server(&[])?;
    let (status, lines) = host.server_ended().await?;
    assert_eq!(status.code(), Some(1), "{lines:#?}");
    position(&lines, "create log file /proc/no/such.log");
    Ok(())
}

/// The log lines of a format that a page below `docs/config` shows, with what differs between hosts left out.
fn on_page(page: &str, form: &str) -> Vec<String> {
    let workspace =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace");
    let text = fs::read_to_string(workspace.join("docs/config").join(page)).expect("read");
    let blocks = text.split("```text\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut shown = blocks.filter(|block| block.contains("format mark") && block.contains(form));
    let block = shown.next().unwrap_or_else(|| panic!("{page} shows no format with {form:?}"));
    let names = [("/mnt/daos", "MOUNT"), ("/dev/shm/daos", "MOUNT"), ("/var/daos/bdev0", "DEVICE")];
    let names = [&names[..], &[("/dev/loop0", "DEVICE"), ("65534:65534", "0:0")]].concat();
    block.lines().map(|line| without_names(line, &names)).collect()
}

fn without_names(line: &str, names: &[(&str, &str)]) -> String {
    let named = names.iter().fold(line.to_owned(), |line, (from, to)| line.replace(from, to));
    match named.split_once(" finished in ") {
        None => named,
        Some((what, rest)) => {
            let took = rest.trim_start_matches(|digit: char| digit.is_ascii_digit());
            format!("{what} finished in N{took}")
        }
    }
}

/// What this host logs of its format, in the same form.
async fn logged(mut host: HostRig, device: &str) -> Result<Vec<String>> {
    formatted(&mut host, 1).await?;
    let mount = host.mounts()[0].display().to_string();
    let owner = fs::metadata(&mount)?;
    use std::os::unix::fs::MetadataExt;
    let owner = format!("{}:{}", owner.uid(), owner.gid());
    let names = [(mount.as_str(), "MOUNT"), (device, "DEVICE"), (owner.as_str(), "0:0")];
    let lines = host.server_log();
    let first = position(&lines, "write the format mark");
    let last = position(&lines, "storage format successful");
    let told = lines[first..=last].iter().map(|line| {
        // Host, level, date, time, text.
        let words: Vec<&str> = line.splitn(5, ' ').collect();
        without_names(&format!("{} {}", words[1], words[4]), &names)
    });
    let told = told.collect();
    host.clear().await?;
    Ok(told)
}

#[tokio::test]
async fn r65_r148_the_page_shows_what_a_format_of_a_directory_logs() -> Result<()> {
    let host = plain_host(1)?;
    if rig::may_mount_as_plain_user() {
        println!("skipped: needs a user who may not mount");
        return Ok(());
    }
    with_tiers(&host, &ram(&host))?;
    assert_eq!(logged(host, "no device").await?, on_page("scm-ram.md", "directory on a tmpfs"));
    Ok(())
}

fn ram(host: &HostRig) -> String {
    format!("  - {{class: ram, scm_mount: {}, scm_size: 1}}\n", host.mounts()[0].display())
}

#[tokio::test]
async fn r60_r65_r148_the_pages_show_what_a_format_logs() -> Result<()> {
    if skip_without_mount_right() {
        return Ok(());
    }
    let on_ram = host(1)?;
    with_tiers(&on_ram, &ram(&on_ram))?;
    assert_eq!(logged(on_ram, "no device").await?, on_page("scm-ram.md", "mount tmpfs"));

    let with_file = host(1)?;
    let file = with_file.file("nvme0").display().to_string();
    assert_eq!(logged(with_file, &file).await?, on_page("bdev-file.md", "mount tmpfs"));

    let with_malloc = host(1)?;
    let malloc = "  - {class: malloc, bdev_number: 2, bdev_size: 1}\n";
    with_tiers(&with_malloc, &(ram(&with_malloc) + malloc))?;
    assert_eq!(logged(with_malloc, "no device").await?, on_page("bdev-malloc.md", "mount tmpfs"));

    let Some(device) = LoopDevice::attach("format_logs", 256 << 20) else { return Ok(()) };
    let with_kdev = host(1)?;
    let kdev = format!("  - {{class: kdev, bdev_list: [{}]}}\n", device.path_str());
    with_tiers(&with_kdev, &(ram(&with_kdev) + &kdev))?;
    assert_eq!(logged(with_kdev, device.path_str()).await?, on_page("bdev-kdev.md", "mount tmpfs"));

    let Some(device) = LoopDevice::attach("format_logs", 256 << 20) else { return Ok(()) };
    let on_device = host(1)?;
    let mount = on_device.mounts()[0].display().to_string();
    let dcpm =
        format!("  - {{class: dcpm, scm_mount: {mount}, scm_list: [{}]}}\n", device.path_str());
    with_tiers(&on_device, &dcpm)?;
    assert_eq!(logged(on_device, device.path_str()).await?, on_page("scm-dcpm.md", "make ext4"));
    Ok(())
}
