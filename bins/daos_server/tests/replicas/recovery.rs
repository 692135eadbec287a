//! A majority that is lost, and a database that is made anew: offline, with a plan first, and no rank given twice.

use std::fs;

use crate::cluster::Cluster;
use crate::rig::{Result, ensure_code, members};

/// Runs `daos_server ms …` with the configuration of a host.
async fn ms(cluster: &Cluster, at: usize, line: &[&str]) -> Result<daos_control::testing::Ran> {
    let host = &cluster.hosts[at];
    let config = host.file("daos_server.yml");
    let config = config.to_string_lossy();
    let all: Vec<&str> = [&["-o", config.as_ref(), "ms"], line].concat();
    host.run("daos_server", &all).await
}

#[tokio::test]
async fn a_lost_majority_is_recovered_from_one_replica_and_the_others_are_added_again() -> Result<()>
{
    let mut cluster = Cluster::formed(3, 3).await?;
    cluster.wait_for_write(0, "before").await?;
    let running = ms(&cluster, 1, &["status"]).await?;
    assert!(running.code == 1 && running.stderr.contains("code = 1294"), "{running:?}");

    cluster.kill(1).await?;
    // The others still decide: there is nothing to recover.
    let refused = ms(&cluster, 1, &["recover", "--yes"]).await?;
    assert!(refused.code == 1 && refused.stderr.contains("code = 1397"), "{refused:?}");
    cluster.kill(0).await?;
    cluster.kill(2).await?;

    let status = ms(&cluster, 1, &["status"]).await?;
    assert!(status.code == 0 && status.stdout.contains(&cluster.address(2)), "{status:?}");
    let shown = ms(&cluster, 1, &["recover"]).await?;
    assert!(shown.code == 1 && shown.stderr.contains("becomes its only replica"), "{shown:?}");
    ensure_code(&ms(&cluster, 1, &["recover", "--yes"]).await?, 0)?;

    cluster.hosts[1].start_server(&[])?;
    cluster.hosts[1].wait_for_log(" is running", 1).await?;
    cluster.wait_for_voters(1, &[1]).await?;
    assert!(cluster.written(1).await?.contains("before"));
    let before = members(&cluster.hosts[1]).await?;
    assert_eq!(before.len(), 3);

    // The others come back with the databases they had, and are replicas again with new ones.
    for at in [0, 2] {
        cluster.hosts[at].start_server(&[])?;
        cluster.hosts[at].wait_for_log("is running", 1).await?;
    }
    let others = format!("{},{}", cluster.address(0), cluster.address(2));
    cluster.add(1, &others).await?;
    cluster.wait_for_voters(1, &[0, 1, 2]).await?;
    let identities = |members: &[crate::rig::Member]| -> Vec<(u32, String)> {
        members.iter().map(|member| (member.rank, member.uuid.clone())).collect()
    };
    assert_eq!(identities(&members(&cluster.hosts[0]).await?), identities(&before));
    cluster.clear().await
}

/// The old replicas are a majority of the old set: they elect a leader before the restored one is there, and still give way to it.
#[tokio::test]
async fn old_replicas_give_way_to_a_restored_one_also_when_they_lead() -> Result<()> {
    let mut cluster = Cluster::formed(3, 3).await?;
    cluster.wait_for_write(0, "before").await?;
    cluster.kill(1).await?;
    let backup = cluster.hosts[1].file("sockets/system.backup").to_string_lossy().into_owned();
    ensure_code(&ms(&cluster, 1, &["backup", &backup]).await?, 0)?;
    let working = ms(&cluster, 1, &["restore", "--from", &backup, "--yes"]).await?;
    assert!(working.code == 1 && working.stderr.contains("code = 1397"), "{working:?}");
    cluster.kill(0).await?;
    cluster.kill(2).await?;
    let shown = ms(&cluster, 1, &["restore", "--from", &backup]).await?;
    assert!(shown.stderr.contains(&cluster.address(0)), "{shown:?}");
    ensure_code(&ms(&cluster, 1, &["restore", "--from", &backup, "--yes"]).await?, 0)?;
    let again = ms(&cluster, 1, &["recover", "--yes"]).await?;
    assert!(again.code == 1 && again.stderr.contains("the only one already"), "{again:?}");

    for at in [0, 2] {
        cluster.hosts[at].start_server(&[])?;
    }
    cluster.wait_for_write(0, "by the old ones").await?;
    cluster.hosts[1].start_server(&[])?;
    for at in [0, 2] {
        cluster.hosts[at]
            .wait_for_log("is no replica of the management service any more", 1)
            .await?;
    }
    cluster.wait_for_voters(1, &[1]).await?;
    let written = cluster.written(1).await?;
    assert!(written.contains("before") && !written.contains("by the old ones"), "{written}");
    let others = format!("{},{}", cluster.address(0), cluster.address(2));
    cluster.add(1, &others).await?;
    cluster.wait_for_voters(1, &[0, 1, 2]).await?;
    cluster.clear().await
}

#[tokio::test]
async fn a_restored_system_gives_no_rank_twice() -> Result<()> {
    let mut cluster = Cluster::new(2, 1)?;
    cluster.start_and_format(0).await?;
    cluster.hosts[0].wait_for_log(" is running", 1).await?;
    cluster.hosts[0].stop_server().await?;
    let backup = cluster.hosts[0].file("sockets/system.backup");
    let backup = backup.to_string_lossy().into_owned();
    ensure_code(&ms(&cluster, 0, &["backup", &backup]).await?, 0)?;

    // An engine joins after the backup was made.
    cluster.hosts[0].start_server(&[])?;
    cluster.hosts[0].wait_for_log(" is running", 1).await?;
    cluster.start_and_format(1).await?;
    cluster.hosts[1].wait_for_log(" is running", 1).await?;
    let before = members(&cluster.hosts[0]).await?;
    assert_eq!(before.len(), 2);
    cluster.hosts[0].stop_server().await?;
    cluster.hosts[1].stop_server().await?;

    let shown = ms(&cluster, 0, &["restore", "--from", &backup]).await?;
    assert!(shown.code == 1 && shown.stderr.contains("is set aside"), "{shown:?}");
    let done = ms(&cluster, 0, &["restore", "--from", &backup, "--yes"]).await?;
    assert!(done.code == 0 && done.stdout.contains("the former database is"), "{done:?}");
    ensure_code(&ms(&cluster, 0, &["restore", "--list"]).await?, 0)?;

    // A new engine does not get the rank that was given after the backup; the engine that has it keeps it.
    cluster.hosts[0].start_server(&[])?;
    cluster.hosts[0].wait_for_log(" is running", 1).await?;
    let kept = fs::read_to_string(cluster.hosts[1].mounts()[0].join("superblock"))?;
    fs::rename(&cluster.hosts[1].mounts()[0], cluster.hosts[1].mounts()[0].with_extension("kept"))?;
    cluster.start_and_format(1).await?;
    cluster.hosts[1].wait_for_log(" is running", 1).await?;
    let ranks: Vec<u32> =
        members(&cluster.hosts[0]).await?.iter().map(|member| member.rank).collect();
    assert!(ranks.len() == 2 && ranks[0] == 0 && ranks[1] > 1, "{ranks:?} after {kept}");
    fs::remove_dir_all(cluster.hosts[1].mounts()[0].with_extension("kept"))?;
    cluster.clear().await
}
