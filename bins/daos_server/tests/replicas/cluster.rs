//! Several servers on ports of one loopback address: each is a host of its own to the others.

use std::io::Error;
use std::time::Duration;

use daos_control::testing::HostRig;
use serde_json::Value;

use crate::rig::{Result, ensure_code, plain_host, share_certificates};

pub struct Cluster {
    pub hosts: Vec<HostRig>,
}

impl Cluster {
    /// Hosts with one engine each, none started; the first `listed` are the replicas in every configuration.
    pub fn new(count: usize, listed: usize) -> Result<Self> {
        let hosts = (0..count).map(|_| plain_host(1)).collect::<Result<Vec<_>>>()?;
        for other in hosts.iter().skip(1) {
            share_certificates(&hosts[0], other)?;
        }
        let cluster = Self { hosts };
        let everybody: Vec<usize> = (0..count).collect();
        cluster.list(&everybody, &(0..listed).collect::<Vec<_>>())?;
        Ok(cluster)
    }

    /// Writes which hosts are replicas into the configurations of `whose`.
    pub fn list(&self, whose: &[usize], listed: &[usize]) -> Result<()> {
        let list: Vec<String> =
            listed.iter().map(|at| format!("\"{}\"", self.address(*at))).collect();
        let list = format!("mgmt_svc_replicas: [{}]", list.join(", "));
        for host in whose.iter().map(|at| &self.hosts[*at]) {
            let alone = format!("mgmt_svc_replicas: [\"127.0.0.1:{}\"]", host.ports()[0]);
            host.write_config(&host.default_config().replace(&alone, &list))?;
        }
        Ok(())
    }

    pub fn address(&self, at: usize) -> String {
        format!("127.0.0.1:{}", self.hosts[at].ports()[0])
    }

    /// Starts a host and formats its storage.
    pub async fn start_and_format(&mut self, at: usize) -> Result<()> {
        self.hosts[at].start_server(&[])?;
        self.hosts[at].wait_for_log("waiting for storage format on server", 1).await?;
        ensure_code(&self.hosts[at].dmg(&["storage", "format", "--yes"]).await?, 0)
    }

    /// All hosts started and formatted, one system with an engine of each, and all replicas voting.
    pub async fn formed(count: usize, listed: usize) -> Result<Self> {
        let mut cluster = Self::new(count, listed)?;
        for at in 0..count {
            cluster.start_and_format(at).await?;
        }
        for host in &cluster.hosts {
            host.wait_for_log(" is running", 1).await?;
        }
        let voters: Vec<usize> = (0..listed).collect();
        cluster.wait_for_voters(0, &voters).await?;
        Ok(cluster)
    }

    /// The value of `response` in the answer of `dmg --json`, asked through one host only.
    pub async fn ask(&self, through: usize, command: &[&str]) -> Result<Value> {
        let line: Vec<&str> = [&["--json"], command].concat();
        let ran = self.hosts[through].dmg(&line).await?;
        let answer: Value = serde_json::from_str(&ran.stdout)
            .map_err(|error| Error::other(format!("{error}: {ran:?}")))?;
        match answer["error"].as_str() {
            None => Ok(answer["response"].clone()),
            Some(error) => Err(Error::other(error.to_owned())),
        }
    }

    /// The replicas by address: role, whether it votes, id.
    pub async fn replicas(&self, through: usize) -> Result<Vec<(String, String, bool, String)>> {
        let set = self.ask(through, &["system", "ms", "status"]).await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let listed = set["replicas"].as_array().cloned().unwrap_or_default();
        let rows = listed.iter().map(|row| {
            (text(&row["addr"]), text(&row["role"]), row["voter"] == true, text(&row["id"]))
        });
        Ok(rows.collect())
    }

    /// Waits until exactly these hosts vote and no other is wanted.
    pub async fn wait_for_voters(&self, through: usize, voters: &[usize]) -> Result<()> {
        let mut wanted: Vec<String> = voters.iter().map(|at| self.address(*at)).collect();
        wanted.sort();
        let asking = || async {
            let Ok(rows) = self.replicas(through).await else { return Ok(false) };
            let mut voting: Vec<String> =
                rows.iter().filter(|row| row.2).map(|row| row.0.clone()).collect();
            voting.sort();
            Ok(voting == wanted && rows.iter().all(|row| row.2))
        };
        self.hosts[through].wait_until(&format!("voters {wanted:?}"), asking).await
    }

    /// Has hosts made replicas. On a busy machine that takes longer than the command waits.
    pub async fn add(&self, through: usize, hosts: &str) -> Result<()> {
        let ran = self.hosts[through].dmg(&["system", "ms", "add", hosts]).await?;
        let late = ran.code == 1 && ran.stderr.contains("code = 1417");
        if late { Ok(()) } else { ensure_code(&ran, 0) }
    }

    /// Index of the host that leads, as another one is told.
    pub async fn leader(&self, through: usize) -> Result<usize> {
        let answer = self.ask(through, &["system", "leader-query"]).await?;
        let leader = answer["current_leader"].as_str().unwrap_or_default().to_owned();
        let found = (0..self.hosts.len()).find(|at| self.address(*at) == leader);
        found.ok_or_else(|| Error::other(format!("the leader is {leader:?}")))
    }

    /// Waits until a change is accepted through this host; how long that took.
    pub async fn wait_for_write(&self, through: usize, value: &str) -> Result<Duration> {
        let began = std::time::Instant::now();
        let pair = format!("written:{value}");
        let line = ["system", "set-attr", pair.as_str()];
        self.hosts[through]
            .wait_until("a write", || async { Ok(self.hosts[through].dmg(&line).await?.code == 0) })
            .await?;
        Ok(began.elapsed())
    }

    pub async fn written(&self, through: usize) -> Result<String> {
        let answer = self.ask(through, &["system", "get-attr", "written"]).await?;
        Ok(answer.to_string())
    }

    /// Kills a server at once; its storage stays.
    pub async fn kill(&mut self, at: usize) -> Result<()> {
        self.hosts[at].signal_server(rustix::process::Signal::KILL)?;
        self.hosts[at].server_ended().await.map(drop)
    }

    pub async fn clear(self) -> Result<()> {
        for host in self.hosts {
            host.clear().await?;
        }
        Ok(())
    }
}
