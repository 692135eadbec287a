//! What an administrator asks of a real server beside format, stop and start: every other command of `dmg`.

mod rig;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use daos_control::testing::HostRig;
use rig::{Result, ensure_code, formatted, members, plain_host};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::ChildStdout;

/// What a stand-in engine has to end in good order.
const GRACE: Duration = Duration::from_secs(5);

/// Runs `dmg` with the words of a line; its standard output.
async fn dmg(host: &HostRig, line: &str) -> Result<String> {
    let ran = host.dmg(&line.split(' ').collect::<Vec<_>>()).await?;
    ensure_code(&ran, 0)?;
    Ok(ran.stdout)
}

/// The same where it must be refused; its standard error.
async fn refused(host: &HostRig, line: &str) -> Result<String> {
    let ran = host.dmg(&line.split(' ').collect::<Vec<_>>()).await?;
    ensure_code(&ran, 1)?;
    Ok(ran.stderr)
}

#[tokio::test]
async fn before_a_format_the_system_is_said_to_be_uninitialized() -> Result<()> {
    let mut host = plain_host(1)?;
    host.start_server(&[])?;
    host.wait_for_log("waiting for storage format on server", 1).await?;
    assert!(dmg(&host, "system query").await?.contains("waiting for storage format on"));
    for line in ["system leader-query", "system list-pools"] {
        let told = refused(&host, line).await?;
        let words = "system is uninitialized (storage format required?)";
        assert!(told.contains(words), "{line}: {told}");
    }
    host.clear().await
}

#[tokio::test]
async fn r155_r164_the_only_replica_leads_and_the_system_can_be_asked() -> Result<()> {
    let mut host = plain_host(2)?;
    formatted(&mut host, 2).await?;
    let address = format!("127.0.0.1:{}", host.ports()[0]);
    let leader = dmg(&host, "system leader-query").await?;
    assert!(leader.contains(&format!("Current Leader: {address}\n")), "{leader}");
    assert!(leader.contains(&format!("Replica Set: {address}\n")), "{leader}");
    assert_eq!(dmg(&host, "system list-pools").await?, "No pools in system\n");

    dmg(&host, "system set-attr owner:me,room:7").await?;
    dmg(&host, "system del-attr room").await?;
    let attributes = dmg(&host, "system get-attr").await?;
    assert!(attributes.contains("owner") && !attributes.contains("room"), "{attributes}");
    dmg(&host, "system set-prop self_heal:exclude").await?;
    let properties = dmg(&host, "system get-prop").await?;
    assert!(
        properties.contains("(daos_system)") && properties.contains("daos_try"),
        "{properties}"
    );
    let healing = |text: &str| text.lines().any(|line| line.contains("(self_heal) exclude "));
    assert!(healing(&dmg(&host, "system get-prop self_heal").await?));

    let masks = dmg(&host, "server set-logmasks -m DEBUG").await?;
    assert!(masks.starts_with("Log masks set on "), "{masks}");
    refused(&host, "server set-logmasks -m LOUD").await?;
    dmg(&host, "storage scan --verbose").await?;
    let json: serde_json::Value =
        serde_json::from_str(&dmg(&host, "network scan --json").await?).expect("JSON");
    assert_eq!(json["status"], 0);
    let wrong = refused(&host, "system query --ranks 0-9").await?;
    assert!(wrong.contains("2-9"), "{wrong}");
    host.clear().await
}

/// The next line of a command that goes on that holds all of these words.
async fn line_with(lines: &mut Lines<BufReader<ChildStdout>>, words: &[&str]) -> Result<String> {
    let found = async {
        while let Some(line) = lines.next_line().await? {
            if words.iter().all(|word| line.contains(word)) {
                return Ok(line);
            }
        }
        Err(std::io::Error::other(format!("it ended before {words:?}")))
    };
    tokio::time::timeout(Duration::from_secs(60), found).await?
}

/// Whether its engine ends itself when it finds itself excluded, or runs on: once cleared it is back without anybody
/// starting it. What happened meanwhile is followed live and listed afterwards.
#[tokio::test]
async fn an_excluded_rank_stays_out_until_it_is_cleared_and_then_joins_by_itself() -> Result<()> {
    let mut host = plain_host(2)?;
    // An engine that finds itself excluded ends; nothing but the clearing brings it back here.
    host.write_config(&format!("{}disable_engine_auto_restart: true\n", host.default_config()))?;
    formatted(&mut host, 2).await?;
    let before = members(&host).await?;
    let mut following = host.dmg_going_on(&["system", "events", "-f"])?;
    let mut told = BufReader::new(following.stdout.take().expect("a pipe")).lines();
    line_with(&mut told, &["joined", "(by engine)"]).await?;

    let last = refused(&host, "system exclude --ranks 0-1").await?;
    assert!(last.contains("code = 1415") && last.contains("--force-last-usable"), "{last}");
    dmg(&host, "system exclude --ranks 1").await?;
    line_with(&mut told, &["admin_excluded", "rank 1", "(by administrator at 127.0.0.1)"]).await?;
    assert_eq!(members(&host).await?[1].state, "adminexcluded");
    for line in ["system stop --ranks 1", "system drain --ranks 1"] {
        let told = refused(&host, line).await?;
        assert!(told.contains("code = 622"), "{line}: {told}");
    }
    let waited = refused(&host, "system wait --for joined=2 --timeout 0").await?;
    assert!(waited.contains("1 of 1 members are joined"), "{waited}");
    dmg(&host, "system wait --for all-joined --timeout 0").await?;

    dmg(&host, "system clear-exclude --ranks 1").await?;
    line_with(&mut told, &["exclusion_cleared", "rank 1", "adminexcluded -> excluded"]).await?;
    let waited = dmg(&host, "system wait --for joined=2 --timeout 60s").await?;
    assert_eq!(waited, "2 of 2 members are joined\n");
    line_with(&mut told, &["rejoined", "rank 1", "excluded -> joined"]).await?;
    assert_eq!(members(&host).await?, before);
    let listed = dmg(&host, "system events --after 0 --limit 500").await?;
    for kind in ["leader", "joined", "admin_excluded", "exclusion_cleared", "rejoined"] {
        assert!(listed.contains(&format!(" {kind} ")), "{kind}: {listed}");
    }
    host.clear().await
}

/// The members as they change, one document a change.
#[tokio::test]
async fn members_are_watched_while_ranks_stop_and_start() -> Result<()> {
    let mut host = plain_host(2)?;
    formatted(&mut host, 2).await?;
    let mut watching = host.dmg_going_on(&["--json", "system", "query", "--watch"])?;
    let mut shown = BufReader::new(watching.stdout.take().expect("a pipe")).lines();
    let joined = |line: &str| line.matches("\"joined\"").count();
    let first = line_with(&mut shown, &["members"]).await?;
    assert_eq!(joined(&first), 2, "{first}");
    dmg(&host, "system stop --ranks 1").await?;
    let stopped = line_with(&mut shown, &["\"stopped\""]).await?;
    assert_eq!(joined(&stopped), 1, "{stopped}");
    dmg(&host, "system start --ranks 1").await?;
    while joined(&line_with(&mut shown, &["members"]).await?) < 2 {}
    for (line, code) in [("system drain --ranks 1", "1365"), ("system reint --ranks 1", "1365")] {
        let told = refused(&host, line).await?;
        assert!(told.contains(code) && told.contains("there is no pool"), "{line}: {told}");
    }
    let cleaned = dmg(&host, "system cleanup client7").await?;
    assert_eq!(cleaned, "No pool handles of client7 to revoke\n");
    host.clear().await
}

#[tokio::test]
async fn e32_stopping_what_is_stopped_and_starting_what_runs_changes_nothing() -> Result<()> {
    let mut host = plain_host(2)?;
    formatted(&mut host, 2).await?;
    let before = members(&host).await?;
    let engines = rig::engine_pids(&host)?;
    dmg(&host, "system start").await?;
    assert_eq!(
        (members(&host).await?, rig::engine_pids(&host)?),
        (before.clone(), engines.clone())
    );
    dmg(&host, "system stop --ranks 1").await?;
    dmg(&host, "system stop --ranks 1").await?;
    assert_eq!(rig::engine_pids(&host)?.len(), 1, "the other one goes on (W31)");
    let states: Vec<_> = members(&host).await?.into_iter().map(|member| member.state).collect();
    assert_eq!(states, ["joined", "stopped"]);
    dmg(&host, "system start").await?;
    host.wait_for_joined(2).await?;
    assert_eq!(members(&host).await?, before);
    host.clear().await
}

#[tokio::test]
async fn an_erased_system_is_formatted_as_another_one() -> Result<()> {
    let mut host = plain_host(2)?;
    formatted(&mut host, 2).await?;
    let before = members(&host).await?;
    let running = refused(&host, "system erase --yes").await?;
    assert!(running.contains("0-1"), "running ranks are named: {running}");
    dmg(&host, "system stop").await?;
    refused(&host, "system erase").await?;
    assert_eq!(members(&host).await?.len(), 2, "nobody confirmed");
    dmg(&host, "system erase --yes").await?;
    assert!(dmg(&host, "system query").await?.contains("waiting for storage format on"));
    refused(&host, "storage format").await?;
    dmg(&host, "storage format --yes").await?;
    host.wait_for_joined(2).await?;
    let after = members(&host).await?;
    assert_eq!(after.iter().map(|member| member.rank).collect::<Vec<_>>(), [0, 1]);
    assert!(after.iter().all(|new| before.iter().all(|old| old.uuid != new.uuid)));
    host.clear().await
}

/// W42: the second signal does not wait for engines that do not end.
#[tokio::test]
async fn w42_a_second_signal_ends_engines_that_do_not_end() -> Result<()> {
    let mut host = plain_host(1)?;
    let deaf = format!("  env_vars: [{}=ignore-sigint]\n", daos_control::stand_in::VARIABLE);
    let config = host
        .default_config()
        .replace("  fabric_iface: lo\n", &format!("  fabric_iface: lo\n{deaf}"));
    host.write_config(&config)?;
    formatted(&mut host, 1).await?;
    let engine = rig::engine_pids(&host)?[0];
    host.signal_server(rustix::process::Signal::TERM)?;
    host.wait_for_log("SIGTERM: shutting down", 1).await?;
    let began = Instant::now();
    host.signal_server(rustix::process::Signal::TERM)?;
    let (status, log) = host.server_ended().await?;
    assert!(began.elapsed() < GRACE, "it was waited for: {log:#?}");
    assert!(status.success(), "{status}: {log:#?}");
    assert!(log.iter().any(|line| line.contains("SIGTERM: ending at once")), "{log:#?}");
    assert!(!rig::runs(engine, "daos_io_server"));
    host.clear().await
}

/// What was blank is formatted without `dmg`; what is not blank is not.
#[tokio::test]
async fn auto_format_takes_blank_storage_only() -> Result<()> {
    let mut host = plain_host(1)?;
    let device = host.file("nvme0");
    std::fs::write(&device, "somebody else's data")?;
    host.start_server(&["--auto-format"])?;
    host.wait_for_log("formatting blank storage", 1).await?;
    host.wait_for_log("nvme format on server 0 finished", 1).await?;
    host.stop_server().await?;
    assert_eq!(std::fs::read_to_string(&device)?, "somebody else's data");
    std::fs::remove_file(&device)?;
    host.start_server(&["--auto-format"])?;
    host.wait_for_joined(1).await?;
    let before = members(&host).await?;
    host.stop_server().await?;
    host.start_server(&["--auto-format"])?;
    host.wait_for_joined(1).await?;
    assert_eq!(members(&host).await?, before, "formatted storage is left alone");
    host.clear().await
}

/// Whatever comes in through the control port, the server goes on answering others.
#[tokio::test]
async fn nonsense_on_the_control_port_does_no_harm() -> Result<()> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut host = plain_host(1)?;
    formatted(&mut host, 1).await?;
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    // A length of 16 MiB that never comes, for a stream that does not exist.
    let huge = [0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 7, 1, 2, 3];
    let mut silent = TcpStream::connect(("127.0.0.1", host.ports()[0]))?;
    silent.write_all(PREFACE)?;
    for nonsense in [
        &b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"[..],
        &[0; 4096],
        &[0xff; 70_000],
        &[PREFACE, &[0xff; 100]].concat(),
        &[PREFACE, &settings, &huge].concat(),
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", host.ports()[0]))?;
        // A server that hangs up at once makes writing and reading fail; both are as good as an end.
        let _hung_up = stream.write_all(nonsense);
        let _no_more = stream.shutdown(std::net::Shutdown::Write);
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let timed_out = read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!timed_out, "the connection was kept open");
        assert_eq!(members(&host).await?.len(), 1);
    }
    drop(silent);
    host.clear().await
}
