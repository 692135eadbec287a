//! One host with the real programs, from blank storage to ranks that come back: as root on mounts, as a plain user in
//! directories.

mod rig;

use rig::{Result, ensure_code, host, members, plain_host, skip_without_mount_right};
use rustix::process::Signal;

/// What both kinds of users see.
async fn format_query_stop_start(mut host: daos_control::testing::HostRig) -> Result<()> {
    host.start_server(&[])?;
    host.wait_for_log("listening on", 1).await?;
    host.wait_for_log("waiting for storage format on server", 2).await?;

    let waiting = host.dmg(&["system", "query"]).await?;
    ensure_code(&waiting, 0)?;
    assert!(waiting.stdout.contains("waiting for storage format"), "{waiting:?}");

    let plan = host.dmg(&["storage", "format", "--dry-run"]).await?;
    ensure_code(&plan, 0)?;
    for mount in host.mounts() {
        assert!(plan.stdout.contains(&mount.display().to_string()), "{plan:?}");
        assert!(!mount.join("superblock").exists(), "a dry run changes nothing");
    }

    ensure_code(&host.dmg(&["storage", "format"]).await?, 0)?;
    host.wait_for_joined(2).await?;
    let first = members(&host).await?;
    assert_eq!(first.iter().map(|member| member.rank).collect::<Vec<_>>(), [0, 1]);
    for mount in host.mounts() {
        assert!(mount.join("superblock").is_file());
        assert!(mount.join("daos_nvme.conf").is_file());
    }

    ensure_code(&host.dmg(&["system", "stop"]).await?, 0)?;
    assert!(members(&host).await?.iter().all(|member| member.state == "stopped"));
    ensure_code(&host.dmg(&["system", "start"]).await?, 0)?;
    host.wait_for_joined(2).await?;
    assert_eq!(identities(&members(&host).await?), identities(&first));

    let (status, log) = host.stop_server().await?;
    assert!(status.success(), "{status}: {log:?}");
    host.start_server(&[])?;
    host.wait_for_joined(2).await?;
    assert_eq!(identities(&members(&host).await?), identities(&first), "ranks survive the server");

    host.signal_server(Signal::KILL)?;
    host.server_ended().await?;
    host.start_server(&[])?;
    host.wait_for_joined(2).await?;
    assert_eq!(identities(&members(&host).await?), identities(&first), "ranks survive a kill -9");
    host.clear().await?;
    Ok(())
}

fn identities(members: &[rig::Member]) -> Vec<(u32, String)> {
    members.iter().map(|member| (member.rank, member.uuid.clone())).collect()
}

#[tokio::test]
async fn a_blank_host_becomes_a_system_that_outlives_its_server_on_mounts() -> Result<()> {
    if skip_without_mount_right() {
        return Ok(());
    }
    format_query_stop_start(host(2)?).await
}

#[tokio::test]
async fn a_blank_host_becomes_a_system_that_outlives_its_server_in_directories() -> Result<()> {
    format_query_stop_start(plain_host(2)?).await
}

#[tokio::test]
async fn a_second_format_is_refused_and_changes_nothing() -> Result<()> {
    let mut host = plain_host(1)?;
    rig::formatted(&mut host, 1).await?;
    let superblock = std::fs::read(host.mounts()[0].join("superblock"))?;
    let again = host.dmg(&["storage", "format"]).await?;
    assert_ne!(again.code, 0, "{again:?}");
    assert_eq!(std::fs::read(host.mounts()[0].join("superblock"))?, superblock);
    host.clear().await?;
    Ok(())
}

#[tokio::test]
async fn an_engine_killed_from_outside_is_shown_and_comes_back_with_its_rank() -> Result<()> {
    let mut host = plain_host(2)?;
    rig::formatted(&mut host, 2).await?;
    let before = members(&host).await?;
    let victim = rig::engine_pids(&host)?[0];
    rig::kill(victim)?;
    host.wait_until("an errored member", || async {
        Ok(members(&host).await.is_ok_and(|all| all.iter().any(|member| member.state == "errored")))
    })
    .await?;
    ensure_code(&host.dmg(&["system", "start"]).await?, 0)?;
    host.wait_for_joined(2).await?;
    assert_eq!(identities(&members(&host).await?), identities(&before));
    host.clear().await?;
    Ok(())
}

#[tokio::test]
async fn engines_die_with_a_killed_server() -> Result<()> {
    let mut host = plain_host(2)?;
    rig::formatted(&mut host, 2).await?;
    let engines = rig::engine_pids(&host)?;
    assert_eq!(engines.len(), 2);
    host.signal_server(Signal::KILL)?;
    host.server_ended().await?;
    host.wait_until("the end of the engines", || async {
        Ok(engines.iter().all(|pid| !rig::runs(*pid, "daos_io_server")))
    })
    .await?;
    host.clear().await?;
    Ok(())
}

#[tokio::test]
async fn an_end_while_waiting_for_a_format_is_orderly() -> Result<()> {
    let mut host = plain_host(1)?;
    host.start_server(&[])?;
    host.wait_for_log("waiting for storage format on server 0", 1).await?;
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
        if host.server_pid().is_none() {
            host.start_server(&[])?;
            host.wait_for_log("waiting for storage format on server 0", 1).await?;
        }
        host.signal_server(signal)?;
        let (status, log) = host.server_ended().await?;
        assert!(status.success(), "{status}: {log:?}");
        let left: Vec<_> = std::fs::read_dir(host.file("sockets"))?
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        assert!(left.is_empty(), "sockets are left: {left:?}");
    }
    host.clear().await?;
    Ok(())
}

#[tokio::test]
async fn one_engine_is_formatted_again_while_the_other_runs() -> Result<()> {
    let mut host = plain_host(2)?;
    rig::formatted(&mut host, 2).await?;
    let before = members(&host).await?;
    ensure_code(&host.dmg(&["system", "stop", "--ranks", "1"]).await?, 0)?;
    let again = host.dmg(&["storage", "format", "--reformat", "--yes"]).await?;
    // Engine 0 runs and is refused; engine 1 is formatted all the same (R131, R147).
    assert_ne!(again.code, 0, "{again:?}");
    host.wait_until("a new member", || async {
        Ok(members(&host).await.is_ok_and(|all| all.len() == 3))
    })
    .await?;
    let after = members(&host).await?;
    assert_eq!(after[0].uuid, before[0].uuid);
    assert_eq!(
        (after[2].rank, after[2].state.as_str()),
        (2, "joined"),
        "ranks are never issued twice"
    );
    host.clear().await?;
    Ok(())
}

#[tokio::test]
async fn an_engine_that_does_not_come_up_again_is_no_joined_member() -> Result<()> {
    let mut host = plain_host(2)?;
    rig::formatted(&mut host, 2).await?;
    host.stop_server().await?;
    std::fs::remove_file(host.file("nvme1"))?;
    host.start_server(&[])?;
    host.wait_until("an errored member", || async {
        let seen = members(&host).await.unwrap_or_default();
        let states: Vec<_> = seen.iter().map(|member| member.state.as_str()).collect();
        Ok(states == ["joined", "errored"])
    })
    .await?;
    host.clear().await?;
    Ok(())
}

#[tokio::test]
async fn a_server_that_ends_takes_a_start_in_progress_with_it() -> Result<()> {
    let mut host = plain_host(2)?;
    rig::formatted(&mut host, 2).await?;
    ensure_code(&host.dmg(&["system", "stop"]).await?, 0)?;
    let (started, ended) = tokio::join!(host.dmg(&["system", "start"]), async {
        host.wait_for_log("is starting", 3).await?;
        host.signal_server(Signal::TERM)
    });
    ended?;
    // Whether the start came first or the end did, somebody is told.
    started?;
    let (status, log) = host.server_ended().await?;
    assert!(status.success(), "{log:#?}");
    assert!(!log.iter().any(|line| line.contains("dropped")), "{log:#?}");
    host.clear().await?;
    Ok(())
}
