//! dRPC over real sockets: calls, refusals, and what a listener survives (contract 3, E28, E29, W29).
#![cfg(feature = "drpc")]

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use daos_control::drpc::frame::{Header, MAX_RECORD_BYTES, records};
use daos_control::drpc::{
    BindError, Call, CallError, Client, Handler, Listener, ListenerHandle, ListenerLimits, Method,
    Module, Peer, Reply, Response, Status, UNREADABLE_SEQUENCE, remove_stale,
};
use tempfile::TempDir;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout};
use tokio_seqpacket::{UnixSeqpacket, UnixSeqpacketListener};

/// Far more than anything here takes; reached only when a test fails.
const LONG: Duration = Duration::from_secs(20);

/// Answers a few methods, each in its own way.
struct Probe {
    gate: Arc<Semaphore>,
    after: mpsc::UnboundedSender<Instant>,
}

#[async_trait]
impl Handler for Probe {
    fn modules(&self) -> &[Module] {
        &[Module::Management, Module::Server]
    }

    async fn handle(&self, method: Method, body: Vec<u8>, peer: Peer) -> Result<Reply, Status> {
        match method {
            Method::PingRank => Ok(Reply::new(body)),
            Method::SetUp => Ok(Reply::new(Vec::new())),
            Method::PoolQuery => Ok(Reply::new(peer.pid.to_string().into_bytes())),
            Method::SetRank => Err(Status::UnreadableBody),
            Method::PoolCreate => Err(Status::Failure),
            Method::PrepareShutdown => {
                self.gate.acquire().await.map_err(|_| Status::Failure)?.forget();
                Ok(Reply::new(b"late".to_vec()))
            }
            Method::NotifyReady => {
                let after = self.after.clone();
                Ok(Reply::new(vec![0; 4 << 20]).then(move || {
                    let _unread = after.send(Instant::now());
                }))
            }
            _ => Err(Status::UnknownMethod),
        }
    }
}

struct Bed {
    directory: TempDir,
    listener: ListenerHandle,
    gate: Arc<Semaphore>,
    after: mpsc::UnboundedReceiver<Instant>,
}

impl Bed {
    fn new(limits: ListenerLimits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let gate = Arc::new(Semaphore::new(0));
        let (sender, after) = mpsc::unbounded_channel();
        let listener = Listener::bind(&directory.path().join("a.sock"), limits).unwrap();
        let probe = Probe { gate: Arc::clone(&gate), after: sender };
        let listener = listener.serve(Arc::new(probe)).unwrap();
        Self { directory, listener, gate, after }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("a.sock")
    }

    async fn call(&self, method: Method, body: &[u8]) -> Result<Vec<u8>, CallError> {
        Client::new(self.path()).call(method, body.to_vec(), Instant::now() + LONG).await
    }

    async fn still_serves(&self) {
        assert_eq!(self.call(Method::PingRank, b"?").await.unwrap(), b"?");
    }

    async fn connect(&self) -> UnixSeqpacket {
        UnixSeqpacket::connect(self.path()).await.unwrap()
    }
}

fn small() -> ListenerLimits {
    ListenerLimits { sessions: 2, message_bytes: 1 << 20, idle: Duration::from_millis(200) }
}

/// The next record, or `None` when the connection ended.
async fn next_record(socket: &UnixSeqpacket) -> Option<Vec<u8>> {
    let mut buffer = vec![0; MAX_RECORD_BYTES];
    match timeout(LONG, socket.recv(&mut buffer)).await.expect("an answer or an end") {
        Ok(info) if info.bytes_read() > 0 => Some(buffer[..info.bytes_read()].to_vec()),
        Ok(_) => None,
        Err(error) => {
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            None
        }
    }
}

async fn next_response(socket: &UnixSeqpacket) -> Response {
    let record = next_record(socket).await.expect("an answer");
    let (header, message) = Header::decode(&record).unwrap();
    assert_eq!((header.index, header.total), (0, 1));
    Response::decode(message).unwrap()
}

fn one_record(message: &[u8]) -> Vec<u8> {
    let (header, piece) = records(message).next().unwrap();
    [&header.encode()[..], piece].concat()
}

fn call(module: i32, method: i32, sequence: i64) -> Vec<u8> {
    one_record(&Call { module, method, sequence, body: Vec::new() }.encode())
}

#[tokio::test]
async fn carries_bodies_of_any_length_both_ways() {
    let bed = Bed::new(ListenerLimits::default());
    for length in [0, 1, 131_047, 131_048, 131_049, 3 << 20] {
        let body = vec![5; length];
        assert_eq!(bed.call(Method::PingRank, &body).await.unwrap(), body, "{length} bytes");
    }
    let pid = bed.call(Method::PoolQuery, &[]).await.unwrap();
    assert_eq!(String::from_utf8(pid).unwrap(), std::process::id().to_string());
    bed.listener.shutdown().await;
}

#[tokio::test]
async fn calls_run_side_by_side() {
    let bed = Bed::new(ListenerLimits::default());
    let waiting = tokio::spawn({
        let client = Client::new(bed.path());
        async move { client.call(Method::PrepareShutdown, vec![], Instant::now() + LONG).await }
    });
    bed.still_serves().await;
    bed.gate.add_permits(1);
    assert_eq!(waiting.await.unwrap().unwrap(), b"late");
}

#[tokio::test]
async fn answers_an_upcall_of_sequence_zero_with_one_bare_header() {
    let bed = Bed::new(ListenerLimits::default());
    let socket = bed.connect().await;
    socket.send(&call(2, Method::SetUp.number(), 0)).await.unwrap();
    let record = next_record(&socket).await.unwrap();
    assert_eq!(record.len(), 24);
    let (header, _) = Header::decode(&record).unwrap();
    assert_eq!((header.message_bytes, header.total), (0, 1));
    let engine = Client::of_engine(bed.path());
    let answer = engine.call(Method::SetUp, vec![], Instant::now() + LONG).await;
    assert_eq!(answer.unwrap(), Vec::<u8>::new());
}

#[tokio::test]
async fn each_refusal_has_its_status_and_the_session_goes_on() {
    let bed = Bed::new(ListenerLimits::default());
    let socket = bed.connect().await;
    let unreadable = one_record(&[0xff; 7]);
    let cases = [
        (unreadable, UNREADABLE_SEQUENCE, Status::UnreadableCall),
        (call(7, 209, 4), 4, Status::UnknownModule),
        (call(4, 401, 5), 5, Status::UnknownModule),
        (call(2, 204, 6), 6, Status::UnknownMethod),
        (call(2, 301, 7), 7, Status::UnknownMethod),
        (call(2, Method::SmdListPools.number(), 8), 8, Status::UnknownMethod),
        (call(2, Method::SetRank.number(), 9), 9, Status::UnreadableBody),
        (call(2, Method::PoolCreate.number(), 10), 10, Status::Failure),
        (call(2, Method::SetUp.number(), 11), 11, Status::Success),
    ];
    for (record, sequence, status) in cases {
        socket.send(&record).await.unwrap();
        let expected = Response { sequence, status, body: Vec::new() };
        assert_eq!(next_response(&socket).await, expected);
    }
}

#[tokio::test]
async fn a_refusal_reaches_the_caller_with_path_and_method() {
    let bed = Bed::new(ListenerLimits::default());
    let error = bed.call(Method::PoolCreate, &[]).await.unwrap_err();
    assert_eq!(error.code(), 1262);
    let text = error.to_string();
    assert!(text.contains("a.sock") && text.contains("pool-create (207): failure"), "{text}");
}

/// Every byte of a good record changed, and every length of it: the listener answers or hangs up, and lives.
#[tokio::test]
async fn survives_every_mangled_byte_and_length() {
    let bed = Bed::new(ListenerLimits { idle: Duration::from_millis(50), ..small() });
    let good = call(2, Method::SetUp.number(), 1);
    let mut mangled = Vec::new();
    for at in 0..good.len() {
        for change in [1, 0x80, 0xff] {
            let mut record = good.clone();
            record[at] ^= change;
            mangled.push(record);
        }
        mangled.push(good[..at].to_vec());
    }
    mangled.push([&good[..], &[0]].concat());
    mangled.push(vec![0; MAX_RECORD_BYTES + 1]);
    mangled.push(vec![0xff; MAX_RECORD_BYTES]);
    for record in &mangled {
        let socket = bed.connect().await;
        socket.send(record).await.unwrap();
        // An answer, or the end; a record that announces more to come ends with the idle limit.
        if let Some(answer) = next_record(&socket).await {
            let (_, message) = Header::decode(&answer).unwrap();
            Response::decode(message).unwrap();
        }
    }
    bed.still_serves().await;
}

#[tokio::test]
async fn malformed_records_are_answered_once_and_end_the_session() {
    let bed = Bed::new(ListenerLimits::default());
    let header = |message_bytes, chunk_bytes, index, total| {
        Header { message_bytes, chunk_bytes, index, total }.encode().to_vec()
    };
    let malformed = [
        vec![1; 23],
        header(0, 0, 0, 0),
        header(0, 0, 1, 2),
        header(u64::MAX, 0, 0, 1),
        [header(1 << 40, 1, 0, u32::MAX), vec![0]].concat(),
    ];
    for record in malformed {
        let socket = bed.connect().await;
        socket.send(&record).await.unwrap();
        let refusal = Response {
            sequence: UNREADABLE_SEQUENCE,
            status: Status::UnreadableCall,
            body: Vec::new(),
        };
        assert_eq!(next_response(&socket).await, refusal);
        assert_eq!(next_record(&socket).await, None);
    }
    bed.still_serves().await;
}

#[tokio::test]
async fn a_peer_that_stops_half_way_is_dropped_and_makes_room() {
    let bed = Bed::new(small());
    let half = Header { message_bytes: 2, chunk_bytes: 1, index: 0, total: 2 }.encode();
    let half = [&half[..], &[0]].concat();
    let stuck = [bed.connect().await, bed.connect().await];
    for socket in &stuck {
        socket.send(&half).await.unwrap();
    }
    // Both sessions are taken; this one waits for room.
    bed.still_serves().await;
    for socket in &stuck {
        assert_eq!(next_record(socket).await, None);
    }
}

#[tokio::test]
async fn peers_that_do_not_wait_for_the_answer_do_no_harm() {
    let bed = Bed::new(small());
    let client = Client::of_engine(bed.path());
    for _ in 0..100 {
        client.notify(Method::PingRank, vec![1; 200_000], Instant::now() + LONG).await.unwrap();
    }
    bed.still_serves().await;
}

#[tokio::test]
async fn what_follows_an_answer_waits_for_the_answer() {
    let mut bed = Bed::new(small());
    let socket = bed.connect().await;
    let begun = Instant::now();
    socket.send(&call(3, Method::NotifyReady.number(), 0)).await.unwrap();
    // The answer of 4 MiB is not read, so it cannot be sent; the listener gives up after its idle limit.
    let after = timeout(LONG, bed.after.recv()).await.unwrap().unwrap();
    assert!(after - begun >= Duration::from_millis(200));
    bed.still_serves().await;
}

#[tokio::test]
async fn stopping_lets_a_call_finish_and_removes_the_socket() {
    let bed = Bed::new(ListenerLimits::default());
    let path = bed.path();
    let idle = bed.connect().await;
    let socket = bed.connect().await;
    socket.send(&call(2, Method::PrepareShutdown.number(), 1)).await.unwrap();
    bed.still_serves().await;
    bed.gate.add_permits(1);
    bed.listener.shutdown().await;
    assert_eq!(next_response(&socket).await.body, b"late");
    assert_eq!(next_record(&idle).await, None);
    assert!(!path.exists());
    let error = Client::new(&path).call(Method::PingRank, vec![], Instant::now() + LONG).await;
    assert_eq!(error.unwrap_err().code(), 611);
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_call_that_hangs() {
    let bed = Bed::new(ListenerLimits::default());
    let socket = bed.connect().await;
    socket.send(&call(2, Method::PrepareShutdown.number(), 1)).await.unwrap();
    bed.still_serves().await;
    timeout(LONG, bed.listener.shutdown()).await.unwrap();
    assert_eq!(next_record(&socket).await, None);
}

#[tokio::test]
async fn an_engine_that_hangs_meets_the_deadline() {
    let bed = Bed::new(ListenerLimits::default());
    let deadline = Instant::now() + Duration::from_millis(100);
    let error = Client::new(bed.path()).call(Method::PrepareShutdown, vec![], deadline).await;
    assert_eq!(error.unwrap_err().code(), 1261);
}

#[tokio::test]
async fn an_engine_that_is_gone_or_goes_is_fault_611() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gone.sock");
    let client = Client::new(&path);
    let missing = client.call(Method::SetUp, vec![], Instant::now() + LONG).await.unwrap_err();
    assert!(missing.was_not_sent());
    assert_eq!(missing.code(), 611);

    let mut listener = UnixSeqpacketListener::bind(&path).unwrap();
    let (closed, _) =
        tokio::join!(client.call(Method::SetUp, vec![], Instant::now() + LONG), async {
            drop(listener.accept().await.unwrap())
        },);
    let closed = closed.unwrap_err();
    assert!(!closed.was_not_sent(), "{closed}");
    assert_eq!(closed.code(), 611);
}

#[tokio::test]
async fn an_answer_against_the_protocol_is_told_from_silence() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("odd.sock");
    let mut listener = UnixSeqpacketListener::bind(&path).unwrap();
    let other_sequence = Response::new(7, Ok(Vec::new())).encode();
    for answer in [vec![0; 3], one_record(&[0xff]), one_record(&other_sequence)] {
        let client = Client::new(&path);
        let (error, ()) =
            tokio::join!(client.call(Method::SetUp, vec![], Instant::now() + LONG), async {
                let socket = listener.accept().await.unwrap();
                next_record(&socket).await.unwrap();
                socket.send(&answer).await.unwrap();
            },);
        assert_eq!(error.unwrap_err().code(), 1260, "{answer:?}");
    }
}

fn bind(path: &Path) -> Result<Listener, BindError> {
    Listener::bind(path, ListenerLimits::default())
}

/// A socket file whose listener is gone.
fn stale_socket(path: &Path) {
    drop(std::os::unix::net::UnixListener::bind(path).unwrap());
    let socket: OwnedFd = rustix::net::socket(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::SEQPACKET,
        None,
    )
    .unwrap();
    std::fs::remove_file(path).unwrap();
    rustix::net::bind(&socket, &rustix::net::SocketAddrUnix::new(path).unwrap()).unwrap();
}

#[tokio::test]
async fn a_socket_is_open_to_its_owner_only_and_leaves_nothing_else_behind() {
    let bed = Bed::new(ListenerLimits::default());
    let found = std::fs::symlink_metadata(bed.path()).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    let names: Vec<_> = std::fs::read_dir(bed.directory.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[tokio::test]
async fn a_live_socket_is_fault_6_and_stays() {
    let bed = Bed::new(ListenerLimits::default());
    let error = bind(&bed.path()).unwrap_err();
    assert_eq!(error.code(), 6);
    assert!(matches!(remove_stale(&bed.path()), Err(BindError::InUse { .. })));
    bed.still_serves().await;
}

#[tokio::test]
async fn a_stale_socket_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("stale.sock");
    stale_socket(&path);
    let listener = bind(&path).unwrap();
    assert_eq!(bind(&path).unwrap_err().code(), 6);
    drop(listener);
    assert!(!path.exists());
    stale_socket(&path);
    assert!(remove_stale(&path).unwrap());
    assert!(!remove_stale(&path).unwrap());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_socket_of_another_kind_counts_as_live() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("stream.sock");
    let _stream = std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert_eq!(bind(&path).unwrap_err().code(), 6);
}

#[tokio::test]
async fn what_is_not_a_socket_is_never_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    std::fs::write(&path, "precious").unwrap();
    let error = bind(&path).unwrap_err();
    assert!(matches!(error, BindError::NotASocket { .. }));
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(matches!(bind(&link), Err(BindError::NotASocket { .. })));
}

#[tokio::test]
async fn each_trouble_with_the_directory_has_its_own_text() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing/a.sock");
    assert!(matches!(bind(&missing), Err(BindError::NoDirectory { .. })));
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(bind(&file.join("a.sock")), Err(BindError::NotADirectory { .. })));
    let long = directory.path().join("x".repeat(108));
    let error = bind(&long).unwrap_err();
    assert_eq!((error.code(), error.resolution()), (1263, "configure a shorter socket_dir"));
}

#[tokio::test]
async fn the_longest_path_works() {
    let directory = tempfile::tempdir().unwrap();
    let room = 107 - directory.path().as_os_str().len() - 1;
    let path = directory.path().join("y".repeat(room));
    assert_eq!(path.as_os_str().len(), 107);
    let listener = bind(&path).unwrap();
    assert!(Client::new(&path).notify(Method::SetUp, vec![], Instant::now() + LONG).await.is_ok());
    drop(listener);
}

#[tokio::test]
async fn a_directory_without_permission_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let closed = directory.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o500)).unwrap();
    match bind(&closed.join("a.sock")) {
        // Who may write anywhere cannot be refused.
        Ok(_) => println!("skipped: needs a user without the right to override permissions"),
        Err(error) => assert!(matches!(error, BindError::NotPermitted { .. }), "{error}"),
    }
}

#[tokio::test]
async fn a_successor_that_took_the_path_keeps_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sock");
    let first = bind(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let second = bind(&path).unwrap();
    drop(first);
    assert!(path.exists(), "the first one removed what is not its own");
    drop(second);
    assert!(!path.exists());
}

/// Engines abort on sequence 0, and send nothing else themselves (contract 3.1).
#[tokio::test]
async fn calls_to_engines_begin_at_one_and_those_of_engines_at_zero() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sock");
    let mut listener = UnixSeqpacketListener::bind(&path).unwrap();
    for (client, sequence) in [(Client::new(&path), 1), (Client::of_engine(&path), 0)] {
        for _ in 0..2 {
            client.notify(Method::SetUp, vec![], Instant::now() + LONG).await.unwrap();
            let record = next_record(&listener.accept().await.unwrap()).await.unwrap();
            let (_, message) = Header::decode(&record).unwrap();
            let expected = Call { module: 2, method: 209, sequence, body: Vec::new() };
            assert_eq!(Call::decode(message).unwrap(), expected);
        }
    }
}

/// The kernel refuses a connect while the queue of new connections is full; the client waits its turn.
#[tokio::test]
async fn a_full_queue_is_waited_out() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sock");
    let mut listener = UnixSeqpacketListener::bind_with_backlog(&path, 1).unwrap();
    let client = Client::new(&path);
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                client.notify(Method::PingRank, vec![], Instant::now() + LONG).await
            })
        })
        .collect();
    for _ in 0..10 {
        let socket = timeout(LONG, listener.accept()).await.unwrap().unwrap();
        assert!(next_record(&socket).await.is_some());
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
}
