//! One system out of three servers, and losses it survives.

use std::fs;

use crate::cluster::Cluster;
use crate::rig::{Result, ensure_code};

/// R153, R156: the first replica makes the system only when the others say they have none; who is not there is named.
#[tokio::test]
async fn three_servers_become_one_system_and_the_first_waits_for_the_others() -> Result<()> {
    let mut cluster = Cluster::new(3, 3)?;
    cluster.start_and_format(0).await?;
    let missing = format!("waits for the other replicas: {}", cluster.address(1));
    cluster.hosts[0].wait_for_log(&missing, 1).await?;
    let query = cluster.hosts[0].dmg(&["system", "query"]).await?;
    assert!(query.stderr.contains(&cluster.address(2)), "{query:?}");

    // A restart between the format and the making of the system resumes the wait.
    cluster.kill(0).await?;
    cluster.hosts[0].start_server(&[])?;
    cluster.hosts[0].wait_for_log(&missing, 1).await?;

    cluster.start_and_format(1).await?;
    cluster.start_and_format(2).await?;
    for host in &cluster.hosts {
        host.wait_for_log(" is running", 1).await?;
    }
    cluster.wait_for_voters(2, &[0, 1, 2]).await?;
    let members = crate::rig::members(&cluster.hosts[1]).await?;
    assert_eq!(members.iter().map(|member| member.rank).collect::<Vec<_>>(), [0, 1, 2]);
    let first = fs::read_to_string(cluster.hosts[0].mounts()[0].join("superblock"))?;
    assert!(first.contains("rank: 0\n"), "{first}");
    for host in &cluster.hosts {
        let own = fs::read_to_string(host.mounts()[0].join("superblock"))?;
        assert_eq!(system_of(&own), system_of(&first), "{own}");
    }

    // Whichever host is asked, the leader answers, and a query says who did.
    for (at, host) in cluster.hosts.iter().enumerate() {
        ensure_code(&host.dmg(&["system", "set-attr", &format!("written:{at}")]).await?, 0)?;
        let query = host.dmg(&["system", "query"]).await?;
        assert!(query.stdout.contains("Answered by"), "{query:?}");
    }
    cluster.clear().await
}

/// R167: a new leader takes writes after a kill -9 of the old one, which comes back as one of the others.
#[tokio::test]
async fn a_lost_leader_is_replaced_and_comes_back() -> Result<()> {
    let mut cluster = Cluster::formed(3, 3).await?;
    let lost = cluster.leader(0).await?;
    let through = (lost + 1) % 3;
    cluster.wait_for_write(through, "before").await?;
    cluster.kill(lost).await?;
    let took = cluster.wait_for_write(through, "after").await?;
    println!("a write was accepted {took:?} after the leader was killed");
    assert_ne!(cluster.leader(through).await?, lost);

    cluster.hosts[lost].start_server(&[])?;
    cluster.hosts[lost].wait_for_log(" is running", 1).await?;
    cluster.wait_for_voters(lost, &[0, 1, 2]).await?;
    assert!(cluster.written(lost).await?.contains("after"));
    cluster.clear().await
}

/// A wiped first replica finds the system at the others, makes none, and is one of them again with a new id.
#[tokio::test]
async fn a_wiped_first_replica_makes_no_second_system() -> Result<()> {
    let mut cluster = Cluster::formed(3, 3).await?;
    let before = cluster.replicas(1).await?;
    let superblock = fs::read_to_string(cluster.hosts[1].mounts()[0].join("superblock"))?;
    cluster.kill(0).await?;
    fs::remove_dir_all(&cluster.hosts[0].mounts()[0])?;

    cluster.start_and_format(0).await?;
    cluster.hosts[0].wait_for_log(" is running", 1).await?;
    let is_replaced = || async {
        let Ok(rows) = cluster.replicas(1).await else { return Ok(false) };
        let known = |row: &(String, String, bool, String)| before.iter().any(|old| old.3 == row.3);
        let new = rows.iter().find(|row| row.0 == cluster.address(0));
        Ok(rows.len() == 3 && new.is_some_and(|row| row.2 && !known(row)))
    };
    cluster.hosts[1].wait_until("the wiped replica to be replaced", is_replaced).await?;
    let own = fs::read_to_string(cluster.hosts[0].mounts()[0].join("superblock"))?;
    assert_eq!(system_of(&own), system_of(&superblock));
    // The new engine of that host is another one: the rank of the lost one is not given again.
    let ranks: Vec<u32> =
        crate::rig::members(&cluster.hosts[1]).await?.iter().map(|member| member.rank).collect();
    assert_eq!(ranks, [0, 1, 2, 3]);
    cluster.clear().await
}

fn system_of(superblock: &str) -> Option<&str> {
    superblock.lines().find(|line| line.starts_with("systemuuid: "))
}
