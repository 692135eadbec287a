//! The whole matrix, made from the compiled services: every method, every role, every kind of certificate (contract 1.2).

use std::convert::Infallible;

use daos_control::rpc::access::{Peer, Trust, allows};
use daos_control::rpc::layers::GuardLayer;
use daos_control::tls::authority::{Request, Validity};
use daos_control::tls::{CertificateFiles, accept};
use daos_control::wire::Component;
use prost::Message;
use prost_types::FileDescriptorSet;
use tokio::io::duplex;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, ServiceExt, service_fn};

use crate::attacks::{Shown, raw_handshake};
use crate::fixture::{Certs, DAY, now, usual};

/// Methods of `ctl` and `mgmt` that are not the administrator's alone, straight from contract 1.2.
const SERVER: &[&str] = &[
    "Join",
    "ClusterEvent",
    "SystemCheckEngineReport",
    "PrepShutdownRanks",
    "StopRanks",
    "ResetFormatRanks",
    "StartRanks",
    "CheckEngineRepair",
];
const AGENT: &[&str] = &["GetAttachInfo"];
const ADMIN_AGENT: &[&str] = &["PoolEvict", "SystemCleanup"];
const ADMIN_SERVER: &[&str] = &[
    "PoolDrain",
    "PoolReintegrate",
    "PoolRebuildStart",
    "PoolRebuildStop",
    "PoolSelfHealEval",
    "SystemGetProp",
    "SystemQuery",
    "SystemErase",
];

fn methods() -> Vec<(String, String)> {
    let set = FileDescriptorSet::decode(daos_proto::FILE_DESCRIPTOR_SET).expect("descriptors");
    let mut methods = Vec::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                methods.push((path, method.name().to_owned()));
            }
        }
    }
    methods
}

/// Who may call, said independently of the table under test. Ours are judged by their own rows, but never open to
/// agents or to everybody.
fn expected(path: &str, name: &str, component: Component) -> bool {
    use Component as C;
    if path.starts_with("/daosx.") {
        return component != C::Agent && allows(path, component);
    }
    let who: &[C] = match name {
        _ if SERVER.contains(&name) => &[C::Server],
        _ if AGENT.contains(&name) => &[C::Agent],
        _ if ADMIN_AGENT.contains(&name) => &[C::Admin, C::Agent],
        _ if ADMIN_SERVER.contains(&name) => &[C::Admin, C::Server],
        _ => &[C::Admin],
    };
    who.contains(&component)
}

/// A call through the guard; what passes is answered with `AlreadyExists`.
async fn call(peer: Option<Peer>, path: &str) -> (Code, String) {
    let inner = service_fn(|_: http::Request<Body>| async {
        Ok::<_, Infallible>(Status::already_exists("reached").into_http::<Body>())
    });
    let mut request =
        http::Request::builder().uri(format!("https://h{path}")).body(Body::empty()).unwrap();
    peer.map(|peer| request.extensions_mut().insert(peer));
    let guard = GuardLayer::new(Trust::Certificates).layer(inner);
    let Ok(answer) = guard.oneshot(request).await;
    let status = Status::from_header_map(answer.headers()).expect("a status");
    (status.code(), status.message().to_owned())
}

/// What the server makes of a caller that shows these files, over a real handshake.
async fn admitted(certs: &Certs, shown: Shown<'_>) -> Option<Peer> {
    let server = certs.credentials(Component::Server);
    let (near, far) = duplex(1 << 16);
    let (_, accepted) = tokio::join!(raw_handshake(shown, near), accept(far, &server));
    accepted.ok().map(|(_, component)| Peer(component))
}

#[tokio::test]
async fn every_method_admits_its_roles_and_denies_all_others_by_name() {
    let certs = Certs::new();
    for component in [Component::Admin, Component::Agent, Component::Server] {
        let peer = admitted(&certs, Shown::Files(&certs.of(component))).await;
        assert_eq!(peer, Some(Peer(Some(component))));
        for (path, name) in methods() {
            let (code, text) = call(peer, &path).await;
            if expected(&path, &name, component) {
                assert_eq!(code, Code::AlreadyExists, "{component} {path}: {text}");
            } else {
                assert_eq!(code, Code::PermissionDenied, "{component} {path}: {text}");
                let words = format!("{component} does not have permission to call {path}");
                assert!(text.contains(&words), "{text}");
            }
        }
    }
    assert!(methods().len() > 60, "the services are there");
}

#[tokio::test]
async fn names_that_are_no_role_may_call_nothing() {
    let certs = Certs::new();
    for name in ["client", "root", "Admin", "admin ", "server.example", ""] {
        let request = Request { common_name: name.into(), ..usual(Component::Admin) };
        let peer = admitted(&certs, Shown::Files(&certs.signed("odd", &request))).await;
        assert_eq!(peer, Some(Peer(None)), "{name:?}");
        for (path, _) in methods() {
            let (code, text) = call(peer, &path).await;
            assert_eq!(code, Code::PermissionDenied, "{name:?} {path}");
            assert!(text.contains("undefined does not have permission"), "{text}");
        }
    }
}

#[tokio::test]
async fn callers_without_a_good_certificate_never_get_as_far_as_a_method() {
    let certs = Certs::new();
    let others = Certs::new();
    let mut callers: Vec<(&str, CertificateFiles)> = Vec::new();
    for component in [Component::Admin, Component::Agent, Component::Server] {
        let name = |kind: &str| format!("{kind}_{component}");
        let times = |from: i64, to: i64| Request {
            validity: Validity { from: now() + from * DAY, to: now() + to * DAY },
            ..usual(component)
        };
        callers.push(("another authority", others.of(component)));
        callers.push(("expired", certs.signed(&name("expired"), &times(-9, -1))));
        callers.push(("not yet valid", certs.signed(&name("early"), &times(1, 9))));
        let no_client = Request { for_clients: false, for_servers: true, ..usual(component) };
        callers.push(("not for clients", certs.signed(&name("usage"), &no_client)));
        callers.push(("self signed", certs.place(&name("self"), &self_signed(component))));
    }
    for (kind, files) in &callers {
        assert_eq!(admitted(&certs, Shown::Files(files)).await, None, "{kind}: {files:?}");
    }
    assert_eq!(admitted(&certs, Shown::Nothing).await, None, "no certificate");
    // And should one ever get there without a certificate, it is denied there as well.
    for (path, _) in methods() {
        assert_eq!(call(None, &path).await.0, Code::Unauthenticated, "{path}");
    }
}

fn self_signed(component: Component) -> daos_control::tls::authority::Pair {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, component.as_str());
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    daos_control::tls::authority::Pair { certificate, key: key.serialize_pem() }
}
