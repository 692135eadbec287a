//! Authorities, certificates of every kind in a directory, and a served port that says when it was reached.

use std::convert::Infallible;
use std::fs;
use std::future::{Ready, ready};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use daos_control::client::{Client, ClientConfig, HostSet, Transport};
use daos_control::rpc::{Listening, listen};
use daos_control::tls::authority::{Authority, Pair, Request, Validity};
use daos_control::tls::{Acceptor, CertificateFiles, Credentials, Security};
use daos_control::wire::Component;
use http::Response;
use tempfile::TempDir;
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;

pub const LONG: Duration = Duration::from_secs(60);
pub const DAY: i64 = 24 * 60 * 60;

pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_secs()).expect("fits")
}

/// A directory with the certificates of one authority.
pub struct Certs {
    pub authority: Authority,
    pub dir: TempDir,
}

impl Certs {
    pub fn new() -> Self {
        let (authority, _) = Authority::make(Validity::days(100), None).expect("made");
        let certs = Self { authority, dir: tempfile::tempdir().expect("a directory") };
        certs.write("ca.crt", certs.authority.pem(), 0o644);
        certs
    }

    pub fn write(&self, name: &str, text: &str, mode: u32) {
        write(&self.dir.path().join(name), text, mode);
    }

    /// Signs and writes; the files under this name.
    pub fn signed(&self, name: &str, request: &Request) -> CertificateFiles {
        self.place(name, &self.authority.sign(request, None).expect("signed"))
    }

    pub fn place(&self, name: &str, pair: &Pair) -> CertificateFiles {
        self.write(&format!("{name}.crt"), &pair.certificate, 0o644);
        self.write(&format!("{name}.key"), &pair.key, 0o400);
        let at = |name: String| self.dir.path().join(name);
        CertificateFiles {
            ca: at("ca.crt".to_owned()),
            certificate: at(format!("{name}.crt")),
            key: at(format!("{name}.key")),
        }
    }

    pub fn of(&self, component: Component) -> CertificateFiles {
        self.signed(component.as_str(), &usual(component))
    }

    pub fn credentials(&self, component: Component) -> Credentials {
        Credentials::load(&self.of(component), component).expect("good")
    }

    pub fn security(&self, component: Component) -> Security {
        Security::with_certificates(self.of(component), component).expect("good")
    }
}

pub fn usual(component: Component) -> Request {
    Request::of(component, Validity::days(50))
}

/// Replaces a file as an administrator does: also one that nobody may write.
pub fn write(path: &Path, text: &str, mode: u32) {
    let staging = path.with_extension("new");
    fs::write(&staging, text).expect("written");
    fs::set_permissions(&staging, fs::Permissions::from_mode(mode)).expect("mode set");
    fs::rename(&staging, path).expect("in place");
}

/// A client of this port with these files.
pub fn client(port: u16, files: &CertificateFiles, component: Component) -> Client {
    let transport = Transport::Certificates {
        ca: files.ca.clone(),
        certificate: files.certificate.clone(),
        key: files.key.clone(),
    };
    let config = ClientConfig { transport, ..ClientConfig::default() };
    let hosts = HostSet::parse(&format!("127.0.0.1:{port}")).expect("a host");
    Client::for_component(&config, component).expect("good files").with_hosts(hosts)
}

/// Answers every call of one service with a status nobody else uses, and counts.
#[derive(Debug, Clone, Default)]
pub struct Reached(pub Arc<AtomicUsize>);

impl Reached {
    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

#[derive(Debug, Clone)]
struct Named<const N: usize>(Reached);

impl NamedService for Named<0> {
    const NAME: &'static str = "ctl.CtlSvc";
}

impl NamedService for Named<1> {
    const NAME: &'static str = "daosx.v1.Host";
}

impl<const N: usize> tower::Service<http::Request<Body>> for Named<N> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<Body>) -> Self::Future {
        self.0.0.fetch_add(1, Ordering::SeqCst);
        ready(Ok(Status::already_exists("reached").into_http()))
    }
}

/// A served port.
pub struct Served {
    pub listening: Listening,
    pub reached: Reached,
}

impl Served {
    pub async fn with(security: Security) -> Self {
        Self::accepting(Acceptor::new(security)).await
    }

    pub async fn accepting(acceptor: Acceptor) -> Self {
        let listener = listen::bind(std::net::Ipv4Addr::LOCALHOST, 0).await.expect("a free port");
        let reached = Reached::default();
        let routes =
            Routes::new(Named::<0>(reached.clone())).add_service(Named::<1>(reached.clone()));
        let listening = Listening::serve_with(listener, routes, acceptor).expect("served");
        Self { listening, reached }
    }

    pub fn port(&self) -> u16 {
        self.listening.address().port()
    }

    pub async fn end(self) {
        self.listening.stop(Duration::from_millis(100)).await;
    }
}
