//! A server that says what a test tells it to, over real gRPC on a loopback address. It stands in for stock servers and
//! for answers that a healthy server never gives; what dmg does against a real server is tested where servers are.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use daos_control::wire::CallError;
use prost::Message;
use prost::bytes::{Buf, BufMut, Bytes};
use tokio::sync::oneshot;
use tokio_stream::{Stream, StreamExt};
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, NamedService, ServerStreamingService, UnaryService};
use tonic::{Request, Response, Status};

/// A call as it arrived.
pub struct Call {
    pub path: String,
    pub headers: MetadataMap,
    message: Bytes,
}

impl Call {
    pub fn message<M: Message + Default>(&self) -> M {
        M::decode(self.message.clone()).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap().to_str().unwrap()
    }
}

type Answer = Result<Bytes, Status>;

/// What a stream brings, and whether it goes on in silence afterwards.
#[derive(Clone)]
struct Pages {
    messages: Vec<Bytes>,
    stays_open: bool,
}

#[derive(Default)]
struct Script {
    answers: HashMap<String, VecDeque<Answer>>,
    streams: HashMap<String, VecDeque<Pages>>,
    calls: Vec<Call>,
}

/// The server. Methods that were not scripted answer `Unimplemented`, as servers do that lack them.
pub struct Fake {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Fake {
    /// On a free port of a loopback address, e.g. `127.0.0.2`.
    pub fn on(ip: &str) -> Self {
        Self::over(TcpListener::bind((ip, 0)).unwrap())
    }

    /// Two servers on 127.0.0.2 and 127.0.0.3 with one port, as hosts of one system have.
    pub fn siblings() -> (Self, Self) {
        loop {
            let first = TcpListener::bind("127.0.0.2:0").unwrap();
            let port = first.local_addr().unwrap().port();
            if let Ok(second) = TcpListener::bind(("127.0.0.3", port)) {
                return (Self::over(first), Self::over(second));
            }
        }
    }

    fn over(listener: TcpListener) -> Self {
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(Script::default()));
        let (stop, stopped) = oneshot::channel();
        let serving = script.clone();
        let thread = std::thread::spawn(move || serve(listener, serving, stopped));
        Self { address, script, stop: Some(stop), thread: Some(thread) }
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The next answer of a method; the last one is given for ever.
    pub fn answers(self, path: &str, message: impl Message) -> Self {
        self.script(path, Ok(message.encode_to_vec().into()))
    }

    /// The next stream of a method; the last one is given for ever.
    pub fn streams(self, path: &str, messages: &[impl Message], stays_open: bool) -> Self {
        let messages = messages.iter().map(|message| message.encode_to_vec().into()).collect();
        let mut script = self.script.lock().unwrap();
        let streams = script.streams.entry(path.to_owned()).or_default();
        streams.push_back(Pages { messages, stays_open });
        drop(script);
        self
    }

    pub fn refuses(self, path: &str, error: impl Into<CallError>) -> Self {
        self.script(path, Err(error.into().to_status()))
    }

    /// Answers with bytes that are no message.
    pub fn babbles(self, path: &str) -> Self {
        self.script(path, Ok(Bytes::from_static(&[0xff; 64])))
    }

    fn script(self, path: &str, answer: Answer) -> Self {
        self.script.lock().unwrap().answers.entry(path.to_owned()).or_default().push_back(answer);
        self
    }

    /// What arrived at a method.
    pub fn calls(&self, path: &str) -> Vec<Call> {
        let mut script = self.script.lock().unwrap();
        let (found, others) =
            std::mem::take(&mut script.calls).into_iter().partition(|c| c.path == path);
        script.calls = others;
        found
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn serve(listener: TcpListener, script: Arc<Mutex<Script>>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let stop = async move {
            let _ = stopped.await;
        };
        tonic::transport::Server::builder()
            .add_service(Scripted::<0>(script.clone()))
            .add_service(Scripted::<1>(script.clone()))
            .add_service(Scripted::<2>(script.clone()))
            .add_service(Scripted::<3>(script.clone()))
            .add_service(Scripted::<4>(script.clone()))
            .add_service(Scripted::<5>(script.clone()))
            .add_service(Scripted::<6>(script.clone()))
            .add_service(Scripted::<7>(script.clone()))
            .add_service(Scripted::<8>(script.clone()))
            .add_service(Scripted::<9>(script.clone()))
            .add_service(Scripted::<10>(script))
            .serve_with_incoming_shutdown(incoming, stop)
            .await
            .unwrap();
    });
}

/// The service of one name; all of them read one script.
#[derive(Clone)]
struct Scripted<const N: usize>(Arc<Mutex<Script>>);

macro_rules! named {
    ($($number:literal $name:literal)*) => {
        $(impl NamedService for Scripted<$number> { const NAME: &'static str = $name; })*
    };
}
named! { 0 "ctl.CtlSvc" 1 "mgmt.MgmtSvc" 2 "daosx.v1.Storage" 3 "daosx.v1.Host" 4 "daosx.v1.Members"
5 "daosx.v1.Prepare" 6 "daosx.v1.Preflight" 7 "daosx.v1.Replica" 8 "daosx.v1.ManagementService" 9 "daosx.v1.Hardware"
10 "daosx.v1.Pmem" }

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<const N: usize> tower::Service<http::Request<Body>> for Scripted<N> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Boxed<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let path = request.uri().path().to_owned();
        let streams = self.0.lock().unwrap().streams.contains_key(&path);
        let method = Method { path, script: self.0.clone() };
        Box::pin(async move {
            Ok(match streams {
                true => Grpc::new(Raw).server_streaming(method, request).await,
                false => Grpc::new(Raw).unary(method, request).await,
            })
        })
    }
}

struct Method {
    path: String,
    script: Arc<Mutex<Script>>,
}

impl UnaryService<Bytes> for Method {
    type Response = Bytes;
    type Future = Boxed<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let mut script = self.script.lock().unwrap();
        let (headers, _, message) = request.into_parts();
        script.calls.push(Call { path: self.path.clone(), headers, message });
        let answer = match script.answers.get_mut(&self.path) {
            None => Err(Status::unimplemented("")),
            Some(answers) if answers.len() > 1 => answers.pop_front().unwrap(),
            Some(answers) => answers[0].clone(),
        };
        Box::pin(async move { answer.map(Response::new) })
    }
}

impl ServerStreamingService<Bytes> for Method {
    type Response = Bytes;
    type ResponseStream = Pin<Box<dyn Stream<Item = Answer> + Send>>;
    type Future = Boxed<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let mut script = self.script.lock().unwrap();
        let (headers, _, message) = request.into_parts();
        script.calls.push(Call { path: self.path.clone(), headers, message });
        let streams = script.streams.get_mut(&self.path).unwrap();
        let Pages { messages, stays_open } = match streams.len() {
            1 => streams[0].clone(),
            _ => streams.pop_front().unwrap(),
        };
        let brought = tokio_stream::iter(messages.into_iter().map(Ok));
        let stream: Self::ResponseStream = match stays_open {
            true => Box::pin(brought.chain(tokio_stream::pending())),
            false => Box::pin(brought),
        };
        Box::pin(async move { Ok(Response::new(stream)) })
    }
}

/// Messages as bytes.
#[derive(Clone, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
