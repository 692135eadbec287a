//! Replicas added and removed while the system runs.

use crate::cluster::Cluster;
use crate::rig::{Result, ensure_code};

/// One replica becomes three and two again; each step that would do harm is refused.
#[tokio::test]
async fn replicas_are_added_and_removed_while_the_system_runs() -> Result<()> {
    let mut cluster = Cluster::formed(3, 1).await?;
    let (second, third) = (cluster.address(1), cluster.address(2));

    let even = cluster.hosts[0].dmg(&["system", "ms", "add", &second]).await?;
    assert!(even.code == 1 && even.stderr.contains("code = 1390"), "{even:?}");
    let both = format!("{second},{third}");
    // Asked through a host that is no replica yet.
    cluster.add(2, &both).await?;
    cluster.wait_for_voters(0, &[0, 1, 2]).await?;
    cluster.hosts[0].wait_for_log("dmg system ms remove", 1).await?;

    let known = cluster.hosts[0].dmg(&["system", "ms", "add", &both]).await?;
    assert!(known.code == 1 && known.stderr.contains("code = 1392"), "{known:?}");

    // The leader itself may go; what is left is even, and is said to be weak.
    let leader = cluster.leader(1).await?;
    let address = cluster.address(leader);
    let even = cluster.hosts[1].dmg(&["system", "ms", "remove", &address]).await?;
    assert!(even.code == 1 && even.stderr.contains("code = 1390"), "{even:?}");
    let forced =
        cluster.hosts[1].dmg(&["system", "ms", "remove", &address, "--force-even"]).await?;
    ensure_code(&forced, 0)?;
    let left: Vec<usize> = (0..3).filter(|at| *at != leader).collect();
    cluster.wait_for_voters(left[0], &left).await?;
    let status = cluster.hosts[left[0]].dmg(&["system", "ms", "status"]).await?;
    assert!(status.stdout.contains("Degraded: 2 replicas vote"), "{status:?}");
    cluster.hosts[leader].wait_for_log("set aside", 1).await?;
    assert!(!cluster.hosts[leader].mounts()[0].join("control_raft/daos_system.db").exists());
    cluster.wait_for_write(leader, "through the one that left").await?;

    // It comes back as another replica.
    cluster.add(leader, &address).await?;
    cluster.wait_for_voters(leader, &[0, 1, 2]).await?;

    // Two of three lost: nothing is decided any more, and no majority is made up.
    let lost = left[0];
    cluster.kill(lost).await?;
    let through = left[1];
    cluster.wait_for_write(through, "with two").await?;
    let others = format!("{},{}", cluster.address(through), address);
    let refused = cluster.hosts[through].dmg(&["system", "ms", "remove", &others]).await?;
    assert!(refused.code == 1 && refused.stderr.contains("code = 1393"), "{refused:?}");

    // What the last one remembers is shown as such, and nothing can be waited for with it.
    cluster.kill(leader).await?;
    let last = &cluster.hosts[through];
    let stale = || async {
        let query = last.dmg(&["system", "query"]).await?;
        Ok(query.stdout.contains("this may be out of date"))
    };
    last.wait_until("a replica without a leader", stale).await?;
    let waited = last.dmg(&["system", "wait", "--for", "joined=1", "--timeout", "0"]).await?;
    let told = waited.stderr.contains("code = 1416") && waited.stderr.contains("out of date");
    assert!(waited.code == 1 && told, "{waited:?}");
    let status = last.dmg(&["system", "ms", "status"]).await?;
    let told = status.stderr.contains("code = 1348") && status.stdout.contains("No leader");
    assert!(status.code == 1 && told, "{status:?}");
    cluster.clear().await
}
