//! Several engines and their real sockets: a map told to one reaches all, and who does not answer is given up by all
//! others, however it fell silent.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use daos_control::drpc::{
    GroupMember, GroupUpdate, Method, RasEvent, RasId, RasSeverity, RasType, SetRank,
};
use rustix::process::{Pid, Signal, kill_process};
use support::{Host, LONG, Said, status};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// An engine that serves as a rank, its log, and what it says to its server.
struct Member {
    rank: u32,
    host: Host,
    child: Child,
    listener: PathBuf,
    uri: String,
    incarnation: u64,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Member {
    /// Starts an engine that has its rank and serves; silent peers are given up after about a second.
    async fn start(rank: u32) -> Self {
        Self::with(rank, &["100", "400", "1000"]).await
    }

    async fn with(rank: u32, times: &[&str; 3]) -> Self {
        let mut host = Host::new();
        let mut command = host.command("");
        command
            .env("D_LOG_MASK", "INFO")
            .env("SWIM_PROTOCOL_PERIOD_LEN", times[0])
            .env("SWIM_PING_TIMEOUT", times[1])
            .env("SWIM_SUSPECT_TIMEOUT", times[2])
            .stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let ready = host.ready().await;
        let body = SetRank { rank, map_version: 1 }.encode();
        assert_eq!(status(&ready.listener, Method::SetRank, body).await, 0);
        assert_eq!(status(&ready.listener, Method::SetUp, vec![]).await, 0);
        let (listener, uri, incarnation) = (ready.listener, ready.uri, ready.incarnation);
        Self { rank, host, child, listener, uri, incarnation, lines }
    }

    fn in_group(&self) -> GroupMember {
        GroupMember { rank: self.rank, uri: self.uri.clone(), incarnation: self.incarnation }
    }

    async fn tell(&self, map_version: u32, members: Vec<GroupMember>) {
        let body = GroupUpdate { map_version, members }.encode();
        assert_eq!(status(&self.listener, Method::GroupUpdate, body).await, 0);
    }

    async fn holds(&mut self, version: u32, ranks: usize) {
        let wanted = format!("holds group map version {version} of {ranks} ranks");
        let found = async {
            while let Some(line) = self.lines.recv().await {
                if line.contains(&wanted) {
                    return;
                }
            }
            panic!("rank {} ended", self.rank);
        };
        let waited = timeout(LONG, found).await;
        assert!(waited.is_ok(), "rank {} never got version {version}", self.rank);
    }

    async fn event(&mut self) -> RasEvent {
        match self.host.said().await {
            Said::Event(event) => event,
            other => panic!("rank {} said {other:?}", self.rank),
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    fn address(&self) -> SocketAddr {
        self.uri.strip_prefix("ofi+tcp://").unwrap().parse().unwrap()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A group of engines of which only the first was told who belongs to it.
async fn group(size: u32) -> Vec<Member> {
    let mut members = Vec::new();
    for rank in 0..size {
        members.push(Member::start(rank).await);
    }
    let all = members.iter().map(Member::in_group).collect();
    members[0].tell(2, all).await;
    for member in &mut members {
        member.holds(2, size as usize).await;
    }
    members
}

fn assert_death(event: &RasEvent, of: &Member, by: u32) {
    assert_eq!(event.id, RasId::SWIM_RANK_DEAD, "rank {by} reports {event}");
    assert_eq!((event.rank, event.incarnation), (Some(of.rank), of.incarnation));
    assert_eq!((event.kind, event.severity), (RasType::StateChange, RasSeverity::Notice));
    assert!(!event.hostname.is_empty() && event.process_id > 0 && !event.timestamp.is_empty());
}

#[tokio::test]
async fn a_killed_engine_is_reported_once_by_every_survivor() {
    let mut members = group(4).await;
    members[2].signal(Signal::KILL);
    let (before, after) = members.split_at_mut(2);
    let (dead, after) = after.split_first_mut().unwrap();
    for survivor in before.iter_mut().chain(after) {
        assert_death(&survivor.event().await, dead, survivor.rank);
    }
    // The next death is the next thing that anybody says.
    members[1].signal(Signal::KILL);
    for at in [0, 3] {
        let event = members[at].event().await;
        assert_death(&event, &members[1], at as u32);
    }
}

#[tokio::test]
async fn a_halted_engine_is_reported_and_ends_itself_when_it_finds_itself_excluded() {
    let mut members = group(3).await;
    members[2].signal(Signal::STOP);
    for at in [0, 1] {
        let event = members[at].event().await;
        assert_death(&event, &members[2], at as u32);
    }
    let rest = members[..2].iter().map(Member::in_group).collect();
    members[0].tell(3, rest).await;
    for member in &mut members[..2] {
        member.holds(3, 2).await;
    }
    members[2].signal(Signal::CONT);
    let event = members[2].event().await;
    assert_eq!((event.id, event.kind), (RasId::ENGINE_SELF_TERMINATED, RasType::Info));
    assert_eq!(event.rank, Some(2));
    assert!(event.incarnation > members[2].incarnation, "that of its next start");
    assert!(event.message.contains("version 3 is without rank 2"), "{}", event.message);
    let mut child = tokio::task::spawn_blocking({
        let pid = Pid::from_raw(i32::try_from(members[2].child.id()).unwrap()).unwrap();
        move || rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty())
    })
    .await
    .unwrap()
    .unwrap();
    let ended = child.take().unwrap().1;
    assert_eq!(ended.terminating_signal(), Some(libc::SIGKILL));
}

#[tokio::test]
async fn an_engine_that_answers_again_before_it_is_excluded_stays() {
    let mut members = group(3).await;
    members[1].signal(Signal::STOP);
    for at in [0, 2] {
        let event = members[at].event().await;
        assert_death(&event, &members[1], at as u32);
    }
    members[1].signal(Signal::CONT);
    for at in [0, 2] {
        let event = members[at].event().await;
        assert_eq!((event.id, event.rank), (RasId::SWIM_RANK_ALIVE, Some(1)));
        assert_eq!((event.kind, event.incarnation), (RasType::StateChange, members[1].incarnation));
    }
    assert_eq!(status(&members[1].listener, Method::PingRank, vec![]).await, 0);
}

#[tokio::test]
async fn an_engine_that_missed_a_map_gets_the_newest() {
    // Nobody is given up here.
    let times = ["100", "400", "600000"];
    let mut members = Vec::new();
    for rank in 0..3 {
        members.push(Member::with(rank, &times).await);
    }
    let all: Vec<_> = members.iter().map(Member::in_group).collect();
    // Two that do not know of the third, as if they had been told before it joined.
    members[0].tell(2, all[..2].to_vec()).await;
    members[0].holds(2, 2).await;
    members[1].holds(2, 2).await;
    members[1].signal(Signal::STOP);
    for version in 3..=6 {
        members[0].tell(version, all.clone()).await;
    }
    members[2].holds(6, 3).await;
    members[1].signal(Signal::CONT);
    members[1].holds(6, 3).await;
    // One that knows nobody is helped by those who know it.
    drop(members.remove(2));
    let mut again = Member::with(2, &times).await;
    let all: Vec<_> = members.iter().chain([&again]).map(Member::in_group).collect();
    again.signal(Signal::STOP);
    members[0].tell(7, all).await;
    members[1].holds(7, 3).await;
    again.signal(Signal::CONT);
    again.holds(7, 3).await;
}

/// The leader knows of a join before the engine is told its rank, and of its exclusion before it has any map.
#[tokio::test]
async fn a_map_that_comes_before_the_rank_is_kept_and_one_that_leaves_is_told() {
    let mut first = Member::start(0).await;
    let mut host = Host::new();
    let _second = host.start("");
    let ready = host.ready().await;
    let peer = GroupMember { rank: 1, uri: ready.uri.clone(), incarnation: ready.incarnation };
    first.tell(2, vec![first.in_group(), peer]).await;
    first.holds(2, 2).await;
    // Nobody passes it on any more when the rank comes.
    first.tell(3, vec![first.in_group()]).await;
    first.holds(3, 1).await;
    let body = SetRank { rank: 1, map_version: 2 }.encode();
    assert_eq!(status(&ready.listener, Method::SetRank, body).await, 0);
    let Said::Event(event) = host.said().await else { panic!("no event") };
    assert_eq!((event.id, event.rank), (RasId::ENGINE_SELF_TERMINATED, Some(1)));
}

/// A map of this size goes over dRPC in several records and over TCP in one message.
#[tokio::test]
async fn a_map_of_fifty_thousand_ranks_goes_through() {
    let mut first = Member::start(0).await;
    let mut second = Member::start(1).await;
    for (version, size) in [(2, 2048), (3, 50_000)] {
        let nowhere = |rank| GroupMember {
            rank,
            uri: format!("ofi+tcp://no-address-{rank}:31416"),
            incarnation: u64::MAX - 1,
        };
        let mut all = vec![first.in_group(), second.in_group()];
        all.extend((2..size).map(nowhere));
        first.tell(version, all).await;
        first.holds(version, size as usize).await;
        second.holds(version, size as usize).await;
    }
}

#[tokio::test]
async fn strangers_at_the_fabric_address_do_no_harm() {
    let mut members = group(2).await;
    let address = members[1].address();
    let quiet = TcpStream::connect(address).unwrap();
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"dios\x01\0\0\0\xff\xff\xff\xff",
        b"dios\x02\0\0\0\x01\0\0\0x",
        b"dios\x01\0\0\0\x04\0\0\0\0\0\0\0",
    ] {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(bytes).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        // It hangs up without a word.
        let mut answer = Vec::new();
        if let Ok(read) = std::io::Read::read_to_end(&mut stream, &mut answer) {
            assert_eq!(read, 0);
        }
    }
    assert_eq!(status(&members[1].listener, Method::PingRank, vec![]).await, 0);
    members[1].signal(Signal::KILL);
    let event = members[0].event().await;
    assert_death(&event, &members[1], 0);
    drop(quiet);
}

/// Engines of other systems may have got an address that one of ours had.
#[tokio::test]
async fn a_rank_of_another_system_is_not_taken_for_a_peer() {
    let mut ours = Member::start(0).await;
    let mut host = Host::new();
    let mut command = host.command("");
    command.args(["-g", "other"]);
    let _other = support::Engine::of(&mut command);
    let ready = host.ready().await;
    let body = SetRank { rank: 1, map_version: 1 }.encode();
    assert_eq!(status(&ready.listener, Method::SetRank, body).await, 0);
    let peer = GroupMember { rank: 1, uri: ready.uri.clone(), incarnation: ready.incarnation };
    let started = std::time::Instant::now();
    ours.tell(2, vec![ours.in_group(), peer]).await;
    let event = ours.event().await;
    assert_eq!((event.id, event.rank), (RasId::SWIM_RANK_DEAD, Some(1)));
    assert!(started.elapsed() > Duration::from_millis(1000), "not before its time");
}
