//! What `daos_server start` refuses, and how it says so: exit status 1, the reason and the remedy on standard error.

mod rig;

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::chown;

use daos_blockdev::testing::LoopDevice;
use daos_control::testing::HostRig;
use rig::{Result, plain_host};

/// Starts a server that must refuse; its lines.
async fn refused(host: &mut HostRig, arguments: &[&str]) -> Result<String> {
    host.start_server(arguments)?;
    let (status, log) = host.server_ended().await?;
    assert_eq!(status.code(), Some(1), "{log:#?}");
    let text = log.join("\n");
    assert!(text.contains("ERROR"), "{text}");
    Ok(text)
}

#[tokio::test]
async fn a_configuration_that_is_not_there_is_named() -> Result<()> {
    let mut host = plain_host(1)?;
    fs::remove_file(host.file("daos_server.yml"))?;
    let text = refused(&mut host, &[]).await?;
    assert!(text.contains("daos_server.yml"), "{text}");
    Ok(())
}

#[tokio::test]
async fn all_rule_faults_are_shown_at_once() -> Result<()> {
    let mut host = plain_host(2)?;
    let same_mount = host.mounts()[0].display().to_string();
    let config = host
        .default_config()
        .replace(&host.mounts()[1].display().to_string(), &same_mount)
        .replace("provider: ofi+tcp\n", "");
    host.write_config(&config)?;
    let text = refused(&mut host, &[]).await?;
    assert!(text.contains("code = 707"), "no provider: {text}");
    assert!(text.contains("code = 711"), "one mount twice: {text}");
    Ok(())
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() -> Result<()> {
    let mut host = plain_host(1)?;
    let _taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, host.ports()[0]))?;
    let text = refused(&mut host, &[]).await?;
    assert!(text.contains(&host.ports()[0].to_string()), "{text}");
    Ok(())
}

#[tokio::test]
async fn a_second_server_on_the_same_sockets_or_storage_is_told_who_has_them() -> Result<()> {
    let mut first = plain_host(1)?;
    let mut second = plain_host(1)?;
    first.start_server(&[])?;
    first.wait_for_log("waiting for storage format on server 0", 1).await?;
    let holder = first.server_pid().expect("the first server runs").to_string();

    let own = second.default_config();
    let sockets = own.replace(
        &second.file("sockets").display().to_string(),
        &first.file("sockets").display().to_string(),
    );
    let storage = own.replace(
        &second.mounts()[0].display().to_string(),
        &first.mounts()[0].display().to_string(),
    );
    for config in [sockets, storage] {
        second.write_config(&config)?;
        let text = refused(&mut second, &[]).await?;
        assert!(text.contains(&holder), "the holder is named: {text}");
    }
    first.clear().await?;
    Ok(())
}

#[tokio::test]
async fn d5_a_plain_user_without_a_mount_is_refused() -> Result<()> {
    let mut host = plain_host(1)?;
    let on_disk = host.file("no_tmpfs").display().to_string();
    let config = host.default_config().replace(&host.mounts()[0].display().to_string(), &on_disk);
    host.write_config(&config)?;
    if !rig::may_mount_as_plain_user() {
        let text = refused(&mut host, &[]).await?;
        assert!(text.contains("not mounted") && text.contains(&on_disk), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn d6_a_plain_user_on_an_empty_directory_of_a_tmpfs_starts_at_once() -> Result<()> {
    let mut host = plain_host(1)?;
    fs::create_dir(&host.mounts()[0])?;
    if rustix::process::geteuid().is_root() {
        chown(&host.mounts()[0], Some(65534), Some(65534))?;
    }
    host.start_server(&["--debug"])?;
    host.wait_for_joined(1).await?;
    let log = host.server_log().join("\n");
    assert!(log.contains("format server"), "{log}");
    host.clear().await?;
    Ok(())
}

#[tokio::test]
async fn w13_an_unreadable_superblock_is_kept_whatever_the_flags() -> Result<()> {
    let mut host = plain_host(1)?;
    rig::formatted(&mut host, 1).await?;
    host.stop_server().await?;
    let path = host.mounts()[0].join("superblock");
    fs::write(&path, "version: 1\nuuid: [broken\n")?;
    host.start_server(&["--recreate-superblocks"])?;
    host.wait_for_log("waiting for storage format on server 0", 1).await?;
    assert_eq!(fs::read_to_string(&path)?, "version: 1\nuuid: [broken\n");
    host.clear().await?;
    Ok(())
}

#[tokio::test]
async fn proxy_variables_do_not_reach_engines_unless_allowed() -> Result<()> {
    for (arguments, expected) in [(vec![], false), (vec!["--allow-proxy"], true)] {
        let mut host = plain_host(1)?;
        host.start_server_with(
            &arguments,
            &[("https_proxy", "http://proxy.invalid"), ("FOO", "1")],
        )?;
        host.wait_for_log("waiting for storage format on server 0", 1).await?;
        rig::ensure_code(&host.dmg(&["storage", "format"]).await?, 0)?;
        host.wait_for_joined(1).await?;
        let engine = rig::engine_pids(&host)?[0];
        let environment = fs::read_to_string(format!("/proc/{engine}/environ"))?;
        assert!(environment.split('\0').any(|pair| pair == "FOO=1"), "R32: {environment}");
        assert_eq!(environment.contains("https_proxy="), expected, "R34: {environment}");
        host.clear().await?;
    }
    Ok(())
}

#[tokio::test]
async fn storage_of_a_system_of_another_name_is_kept_until_it_is_given_up() -> Result<()> {
    let mut host = plain_host(1)?;
    rig::formatted(&mut host, 1).await?;
    host.stop_server().await?;
    let superblock = fs::read(host.mounts()[0].join("superblock"))?;
    for file in ["daos_server.yml", "daos_control.yml"] {
        let text = fs::read_to_string(host.file(file))?;
        fs::write(host.file(file), text.replace("name: daos_try", "name: other"))?;
    }
    host.start_server(&[])?;
    host.wait_for_log("does not come up", 1).await?;
    let log = host.server_log().join("\n");
    assert!(log.contains("belongs to system 'daos_try', rank 0"), "{log}");
    let query = host.dmg(&["system", "query"]).await?;
    let told = format!("{}{}", query.stdout, query.stderr);
    assert!(told.contains("refused") && told.contains("daos_try"), "{query:?}");
    assert_ne!(host.dmg(&["storage", "format"]).await?.code, 0);
    assert_eq!(fs::read(host.mounts()[0].join("superblock"))?, superblock);

    let plan = host.dmg(&["storage", "format", "--reformat", "--dry-run"]).await?;
    let words = plan.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("an engine of system 'daos_try', rank 0"), "{plan:?}");
    assert_eq!(fs::read(host.mounts()[0].join("superblock"))?, superblock);
    rig::ensure_code(&host.dmg(&["storage", "format", "--reformat", "--yes"]).await?, 0)?;
    host.wait_for_joined(1).await?;
    let superblock = fs::read_to_string(host.mounts()[0].join("superblock"))?;
    assert!(superblock.contains("system: \"other\""), "{superblock}");
    host.clear().await?;
    Ok(())
}

/// R46: the kernel's name of a device and a by-id name for it, a disk and its partition node: one device for two engines.
#[tokio::test]
async fn r46_one_device_under_two_names_is_refused_before_anything_is_done() -> Result<()> {
    let test = "r46_one_device_under_two_names_is_refused_before_anything_is_done";
    let Some(device) = LoopDevice::attach(test, 8 << 20) else { return Ok(()) };
    let mut host = plain_host(2)?;
    let by_id = host.file("by-id");
    std::os::unix::fs::symlink(device.path(), &by_id)?;
    let mounts = host.mounts();
    let engine = |mount: &std::path::Path, port: u32, device: &std::path::Path| {
        format!(
            "- {{targets: 1, fabric_iface: lo, fabric_iface_port: {port}, storage: [{{class: ram, scm_mount: {}, \
             scm_size: 1}}, {{class: kdev, bdev_list: [{}]}}]}}\n",
            mount.display(),
            device.display()
        )
    };
    let head = host.default_config();
    let head = head.split_once("engines:").map_or(head.as_str(), |(head, _)| head).to_owned();
    let text = format!(
        "{head}engines:\n{}{}",
        engine(&mounts[0], 31416, device.path()),
        engine(&mounts[1], 31516, &by_id)
    );
    host.write_config(&text)?;
    let told = refused(&mut host, &[]).await?;
    assert!(told.contains("code = 713") && told.contains("are both /dev/loop"), "{told}");
    Ok(())
}
