//! Engines that fall silent, on a host that reports to another one: found by their peers, or by their own server, and what
//! becomes of them. Two servers share this machine's loopback; only the first is a replica.

mod rig;

use daos_control::testing::HostRig;
use rig::{
    Member, Result, engine_pids, ensure_code, kill, members, plain_host, runs, share_certificates,
};
use rustix::process::{Pid, Signal, kill_process};

/// Short times for failure detection: a silent engine is given up after some three seconds.
const SWIM: &str = "  env_vars: [SWIM_PROTOCOL_PERIOD_LEN=200, SWIM_PING_TIMEOUT=700, SWIM_SUSPECT_TIMEOUT=2000]\n";

/// A system of two hosts: the first is the replica and has two engines, the second has one.
struct Pair {
    first: HostRig,
    second: HostRig,
    /// The rank of the second host's engine.
    rank: u32,
}

impl Pair {
    async fn start() -> Result<Self> {
        let (mut first, mut second) = (plain_host(2)?, plain_host(1)?);
        share_certificates(&first, &second)?;
        let (replica, other) = (address(&first), address(&second));
        for host in [&first, &second] {
            let config = host.default_config();
            let config = config.replace(&address(host), &replica);
            host.write_config(&config.replace("- targets: 2\n", &format!("- targets: 2\n{SWIM}")))?;
        }
        for (host, engines) in [(&mut first, 2), (&mut second, 1)] {
            host.start_server(&[])?;
            host.wait_for_log("waiting for storage format on server", engines).await?;
        }
        let both = format!("{replica},{other}");
        ensure_code(&first.dmg(&["-l", &both, "storage", "format"]).await?, 0)?;
        first.wait_for_log(" is running", 2).await?;
        second.wait_for_log(" is running", 1).await?;
        let joined =
            |line: &String| line.split_once("joined as rank ").map(|(_, rest)| rest.to_owned());
        let rank = second.server_log().iter().find_map(joined).unwrap_or_default();
        let rank = rank.split(' ').next().and_then(|rank| rank.parse().ok());
        let rank = rank.ok_or_else(|| std::io::Error::other("no rank in the log"))?;
        let pair = Self { first, second, rank };
        pair.wait("joined").await?;
        Ok(pair)
    }

    /// Waits until the second host's rank is in this state, and the others are joined.
    async fn wait(&self, state: &str) -> Result<()> {
        let first = &self.first;
        let as_wanted = |member: &Member| {
            member.state == if member.rank == self.rank { state } else { "joined" }
        };
        first
            .wait_until(&format!("rank {} that is {state}", self.rank), || async {
                let found = members(first).await?;
                Ok(found.len() == 3 && found.iter().all(as_wanted))
            })
            .await
    }

    fn engine(&self) -> Result<u32> {
        engine_pids(&self.second)?.first().copied().ok_or_else(|| std::io::Error::other("none"))
    }

    async fn clear(self) -> Result<()> {
        let second = self.second.clear().await;
        self.first.clear().await.and(second)
    }
}

fn address(host: &HostRig) -> String {
    format!("127.0.0.1:{}", host.ports()[0])
}

fn signal(pid: u32, signal: Signal) -> Result<()> {
    let pid =
        Pid::from_raw(pid.cast_signed()).ok_or_else(|| std::io::Error::other("no process"))?;
    Ok(kill_process(pid, signal)?)
}

fn lines(host: &HostRig, event: &str) -> Vec<String> {
    let wanted = format!("&&& RAS id: [{event}]");
    host.server_log().into_iter().filter(|line| line.contains(&wanted)).collect()
}

#[tokio::test]
async fn an_engine_whose_server_says_nothing_is_found_by_its_peers_and_comes_back() -> Result<()> {
    let pair = Pair::start().await?;
    let engine = pair.engine()?;
    pair.second.signal_server(Signal::STOP)?;
    kill(engine)?;
    pair.wait("excluded").await?;
    // A survivor that hears of the exclusion first has nothing more to report.
    pair.first.wait_for_log("&&& RAS id: [swim_rank_dead]", 1).await?;
    for line in lines(&pair.first, "swim_rank_dead") {
        assert!(line.contains("type: [STATE_CHANGE] sev: [NOTICE]"), "{line}");
        assert!(line.contains(&format!("rank: [{}] incarnation: [", pair.rank)), "{line}");
    }
    // Now its server hears of it too, and it changes nothing.
    pair.second.signal_server(Signal::CONT)?;
    pair.second.wait_for_log("&&& RAS id: [engine_died]", 1).await?;
    pair.wait("excluded").await?;
    let rank = pair.rank.to_string();
    ensure_code(&pair.first.dmg(&["system", "start", "--ranks", &rank]).await?, 0)?;
    pair.wait("joined").await?;
    pair.clear().await
}

#[tokio::test]
async fn a_death_is_forwarded_to_the_leader_and_logged_where_it_happened() -> Result<()> {
    let pair = Pair::start().await?;
    let died = "&&& RAS id: [engine_died]";
    kill(pair.engine()?)?;
    pair.second.wait_for_log(died, 1).await?;
    // Its server is quicker than its peers, who then agree.
    let first = &pair.first;
    first
        .wait_until("a rank that is not joined", || async {
            Ok(members(first).await?.iter().any(|member| {
                member.rank == pair.rank && ["errored", "excluded"].contains(&member.state.as_str())
            }))
        })
        .await?;
    pair.wait("excluded").await?;
    let told = lines(&pair.second, "engine_died");
    assert_eq!(told.len(), 1, "{told:?}");
    let rank = format!("rank: [{}]", pair.rank);
    for part in ["type: [STATE_CHANGE] sev: [ERROR]", "killed by SIGKILL", &rank, "host: ["] {
        assert!(told[0].contains(part), "{part} in {}", told[0]);
    }
    assert_eq!(lines(&pair.first, "engine_died"), Vec::<String>::new(), "not logged again");
    pair.clear().await
}

#[tokio::test]
async fn an_engine_that_was_halted_ends_itself_and_joins_again() -> Result<()> {
    let pair = Pair::start().await?;
    let engine = pair.engine()?;
    signal(engine, Signal::STOP)?;
    pair.wait("excluded").await?;
    signal(engine, Signal::CONT)?;
    pair.second.wait_for_log("&&& RAS id: [engine_self_terminated]", 1).await?;
    pair.wait("joined").await?;
    assert!(!runs(engine, "daos_io_server"), "the old process is gone");
    assert_eq!(engine_pids(&pair.second)?.len(), 1);
    let plan = "it found itself excluded and starts again";
    pair.second.wait_for_log(plan, 1).await?;
    assert!(lines(&pair.second, "engine_died").iter().any(|line| line.contains(plan)));
    pair.clear().await
}

#[tokio::test]
async fn an_excluded_engine_that_may_not_come_back_says_so() -> Result<()> {
    let mut host = plain_host(2)?;
    let config = host.default_config().replace("- targets: 2\n", &format!("- targets: 2\n{SWIM}"));
    host.write_config(&format!("{config}disable_engine_auto_restart: true\n"))?;
    rig::formatted(&mut host, 2).await?;
    ensure_code(&host.dmg(&["system", "exclude", "--ranks", "1"]).await?, 0)?;
    host.wait_for_log("stays down: automatic restarts are switched off", 1).await?;
    assert_eq!(members(&host).await?[1].state, "adminexcluded");
    host.clear().await
}
