//! New files are used without a restart, bad ones are not, and connections that exist go on.

use daos_control::tls::authority::{Request, Validity};
use daos_control::tls::{Credentials, connect};
use daos_control::wire::Component;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::fixture::{Certs, LONG, Served, usual};

/// The serial number of the certificate that the port shows to a new caller.
async fn shown(served: &Served, certs: &Certs) -> Vec<u8> {
    let stream = TcpStream::connect(served.listening.address()).await.expect("listening");
    let admin = certs.of(Component::Admin);
    let stream = crate::attacks::raw_client(&admin, stream).await.expect("trusted");
    stream.get_ref().1.peer_certificates().expect("shown")[0].to_vec()
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_and_a_bad_one_is_not() {
    let certs = Certs::new();
    let served = Served::with(certs.security(Component::Server)).await;
    let first = shown(&served, &certs).await;

    // A connection from before the change.
    let admin = certs.credentials(Component::Admin);
    let stream = TcpStream::connect(served.listening.address()).await.unwrap();
    let old = connect(stream, &admin, Component::Server).await.unwrap();

    // Half of a renewal: certificate and key do not fit, so nothing changes. Then the other half.
    let renewed = certs.authority.sign(&usual(Component::Server), None).unwrap();
    certs.write("server.crt", &renewed.certificate, 0o644);
    let begun = std::time::Instant::now();
    while begun.elapsed() < std::time::Duration::from_millis(1500) {
        assert_eq!(shown(&served, &certs).await, first, "the old pair stays");
    }
    certs.write("server.key", &renewed.key, 0o400);
    let changed = async { while shown(&served, &certs).await == first {} };
    timeout(LONG, changed).await.expect("the new certificate is shown");
    let second = shown(&served, &certs).await;

    let expired = Request { validity: Validity { from: 0, to: 1000 }, ..usual(Component::Server) };
    certs.signed("server", &expired);
    let begun = std::time::Instant::now();
    while begun.elapsed() < std::time::Duration::from_millis(1500) {
        assert_eq!(shown(&served, &certs).await, second, "an expired one is not taken");
    }
    assert!(crate::paths::ask(old, "/ctl.CtlSvc/StorageScan").await, "the old connection works");
    served.end().await;
}

/// A new authority takes over: both are trusted while both are in the file, then the old one is not.
#[tokio::test]
async fn an_authority_is_replaced_while_the_port_serves() {
    let (old, new) = (Certs::new(), Certs::new());
    let served = Served::with(old.security(Component::Server)).await;
    let connects = |files| {
        let address = served.listening.address();
        async move {
            let credentials = Credentials::load(&files, Component::Admin).unwrap();
            let stream = TcpStream::connect(address).await.unwrap();
            connect(stream, &credentials, Component::Server).await.is_ok()
        }
    };
    let both = old.authority.pem().to_owned() + new.authority.pem();
    new.write("ca.crt", &both, 0o644);
    let (from_old, from_new) = (old.of(Component::Admin), new.of(Component::Admin));
    assert!(connects(from_old.clone()).await);
    assert!(!connects(from_new.clone()).await, "not yet trusted");
    old.write("ca.crt", &both, 0o644);
    let trusted = async { while !connects(from_new.clone()).await {} };
    timeout(LONG, trusted).await.expect("the new authority is trusted");
    assert!(connects(from_old.clone()).await, "and the old one still is");
    served.end().await;
}
