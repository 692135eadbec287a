//! Both sides over real sockets: who is let in as whom, and what everybody else is told (R168, contract 1.8).

use daos_control::client::{Client, ClientConfig, ClientError, HostSet, Transport};
use daos_control::tls::authority::Request;
use daos_control::tls::{Security, accept, connect};
use daos_control::wire::{CallError, Component};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use crate::fixture::{Certs, Served, client, usual};

/// The outcome of asking a host, in numbers and words.
async fn asked(client: &Client) -> ClientError {
    let mut states = client.host_states().await;
    states.failures.pop().expect("no answer is good here").1
}

fn insecure(port: u16) -> Client {
    let config = ClientConfig { transport: Transport::Insecure, ..ClientConfig::default() };
    let hosts = HostSet::parse(&format!("127.0.0.1:{port}")).expect("a host");
    Client::new(&config).expect("nothing to load").with_hosts(hosts)
}

#[tokio::test]
async fn roles_reach_what_the_table_says_and_nothing_else() {
    let certs = Certs::new();
    let served = Served::with(certs.security(Component::Server)).await;
    for (component, allowed) in
        [(Component::Admin, true), (Component::Server, true), (Component::Agent, false)]
    {
        let before = served.reached.count();
        let error = asked(&client(served.port(), &certs.of(component), component)).await;
        if allowed {
            assert!(error.to_string().contains("reached"), "{component}: {error}");
            assert_eq!(served.reached.count(), before + 1);
        } else {
            let denied = "agent does not have permission to call /daosx.v1.Host/State";
            assert!(
                matches!(error.call(), Some(CallError::PermissionDenied(text)) if text.contains(denied)),
                "{error}"
            );
            assert_eq!(served.reached.count(), before);
        }
    }
    served.end().await;
}

#[tokio::test]
async fn a_name_that_is_no_role_is_let_in_and_may_nothing() {
    let certs = Certs::new();
    let served = Served::with(certs.security(Component::Server)).await;
    let nobody = Request { common_name: "root".into(), ..usual(Component::Admin) };
    let files = certs.signed("root", &nobody);
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", served.port())).await.unwrap();
    // Our own client refuses such a certificate by itself, so another one plays it.
    let stream = crate::attacks::raw_client(&files, stream).await.expect("a trusted certificate");
    let answer = crate::paths::ask(stream, "/daosx.v1.Host/State").await;
    assert!(answer, "a call that is denied is answered");
    assert_eq!(served.reached.count(), 0);
    served.end().await;
}

#[tokio::test]
async fn strangers_are_told_apart_before_any_request() {
    let certs = Certs::new();
    let strangers = Certs::new();
    let served = Served::with(certs.security(Component::Server)).await;
    // Another authority: we do not trust the server, and are told so by our own side first.
    let error =
        asked(&client(served.port(), &strangers.of(Component::Admin), Component::Admin)).await;
    assert_eq!(error.code(), 1403, "{error}");
    assert!(error.to_string().contains(&served.port().to_string()), "{error}");
    // We trust the server, but it does not trust us.
    let mut mixed = strangers.of(Component::Admin);
    strangers.write(
        "both.crt",
        &(strangers.authority.pem().to_owned() + certs.authority.pem()),
        0o644,
    );
    mixed.ca = strangers.dir.path().join("both.crt");
    let error = asked(&client(served.port(), &mixed, Component::Admin)).await;
    assert_eq!(error.code(), 1405, "{error}");
    assert_eq!(served.reached.count(), 0);
    served.end().await;
}

#[tokio::test]
async fn a_port_held_by_another_role_is_not_taken_for_a_server() {
    let certs = Certs::new();
    let admin_that_serves = Request { for_servers: true, ..usual(Component::Admin) };
    let files = certs.signed("impostor", &admin_that_serves);
    let security = Security::with_certificates(files, Component::Admin).unwrap();
    let served = Served::with(security).await;
    let error =
        asked(&client(served.port(), &certs.of(Component::Server), Component::Server)).await;
    assert_eq!(error.code(), 1404, "{error}");
    assert_eq!(served.reached.count(), 0);
    served.end().await;
}

#[tokio::test]
async fn one_side_without_certificates_is_told_plainly() {
    let certs = Certs::new();
    let secure = Served::with(certs.security(Component::Server)).await;
    let error = asked(&insecure(secure.port())).await;
    assert_eq!(error.code(), 1406, "{error}");
    assert!(error.to_string().contains("requires certificates"), "{error}");
    secure.end().await;

    let plain = Served::with(Security::Insecure).await;
    let error = asked(&client(plain.port(), &certs.of(Component::Admin), Component::Admin)).await;
    assert_eq!(error.code(), 1406, "{error}");
    assert!(error.to_string().contains("does not speak TLS"), "{error}");
    let error = asked(&insecure(plain.port())).await;
    assert!(error.to_string().contains("reached"), "{error}");
    plain.end().await;
}

/// The stream itself: what is read first is not lost, in pieces of any size.
#[tokio::test]
async fn the_first_bytes_of_the_other_side_are_kept() {
    let certs = Certs::new();
    let (server, admin) =
        (certs.credentials(Component::Server), certs.credentials(Component::Admin));
    let (near, far) = duplex(1 << 16);
    let answering = async {
        let (mut stream, component) = accept(far, &server).await.unwrap();
        stream.write_all(&[7; 3000]).await.unwrap();
        stream.flush().await.unwrap();
        let mut word = [0; 4];
        stream.read_exact(&mut word).await.unwrap();
        (component, word)
    };
    let calling = async {
        let mut stream = connect(near, &admin, Component::Server).await.unwrap();
        let mut all = vec![0; 3000];
        for piece in all.chunks_mut(7) {
            stream.read_exact(piece).await.unwrap();
        }
        stream.write_all(b"seen").await.unwrap();
        stream.flush().await.unwrap();
        all
    };
    let ((component, word), all) = tokio::join!(answering, calling);
    assert_eq!((component, &word), (Some(Component::Admin), b"seen"));
    assert_eq!(all, [7; 3000]);
}
