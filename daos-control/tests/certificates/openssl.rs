//! Stock peers in secure mode: RSA certificates without alternative names, TLS 1.2, static RSA with AES256-GCM-SHA384.
//! Played by the `openssl` program in both directions (contract 1.8).

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::process::Stdio;

use daos_control::supervisor::{Credential, Token, UpcallError, check_credential};
use daos_control::tls::authority::{Issue, issue};
use daos_control::tls::{CertificateFiles, Credentials, Security, connect};
use daos_control::wire::Component;
use openssl::ssl::{Ssl, SslContext, SslFiletype, SslMethod, SslVerifyMode, SslVersion};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use crate::fixture::{LONG, Served, write};

const SUITE: &str = "AES256-GCM-SHA384";

/// Runs the program to its end; its output when it succeeded.
async fn openssl(dir: &Path, line: &str) -> io::Result<String> {
    let mut command = Command::new("openssl");
    command.args(line.split(' ')).current_dir(dir).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(LONG, command.output()).await??;
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(text.into_owned()) } else { Err(io::Error::other(text)) }
}

/// Certificates as the stock script makes them.
async fn stock_certificates() -> io::Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    write(
        &dir.path().join("server.ext"),
        "keyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth,clientAuth\n",
        0o644,
    );
    write(
        &dir.path().join("other.ext"),
        "keyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=clientAuth\n",
        0o644,
    );
    let run = |line: String| {
        let path = dir.path().to_owned();
        async move { openssl(&path, &line).await }
    };
    run("req -x509 -newkey rsa:2048 -nodes -sha512 -days 30 -keyout daosCA.key -out daosCA.crt -subj /O=DAOS/CN=DAOS_CA -addext basicConstraints=critical,CA:TRUE,pathlen:1 -addext keyUsage=critical,digitalSignature,keyCertSign".into()).await?;
    for role in ["server", "admin", "agent"] {
        let usage = if role == "server" { "server.ext" } else { "other.ext" };
        run(format!("req -newkey rsa:2048 -nodes -sha512 -keyout {role}.key -out {role}.csr -subj /O=DAOS/CN={role}")).await?;
        run(format!("x509 -req -sha512 -days 30 -in {role}.csr -CA daosCA.crt -CAkey daosCA.key -CAcreateserial -extfile {usage} -out {role}.crt")).await?;
    }
    for key in ["daosCA.key", "server.key", "admin.key", "agent.key"] {
        let path = dir.path().join(key);
        write(&path, &std::fs::read_to_string(&path)?, 0o400);
    }
    Ok(dir)
}

fn files(dir: &Path, role: &str) -> CertificateFiles {
    CertificateFiles {
        ca: dir.join("daosCA.crt"),
        certificate: dir.join(format!("{role}.crt")),
        key: dir.join(format!("{role}.key")),
    }
}

#[tokio::test]
async fn a_stock_client_gets_its_only_suite_from_our_server() -> io::Result<()> {
    let dir = stock_certificates().await?;
    let security = Security::with_certificates(files(dir.path(), "server"), Component::Server);
    let served = Served::with(security.expect("stock certificates are accepted")).await;
    let port = served.port();
    let line = |role: &str| {
        format!(
            "s_client -connect 127.0.0.1:{port} -tls1_2 -cipher {SUITE} -alpn h2 -brief -verify_return_error -CAfile daosCA.crt -cert {role}.crt -key {role}.key"
        )
    };
    let said = openssl(dir.path(), &line("admin")).await?;
    assert!(said.contains("TLSv1.2") && said.contains(SUITE), "{said}");
    let without = format!("s_client -connect 127.0.0.1:{port} -tls1_2 -cipher {SUITE} -brief");
    openssl(dir.path(), &without).await.expect_err("no certificate, no connection");

    // The same suite beneath HTTP/2, which lists it among those it would rather not see (RFC 9113 A).
    let mut context = SslContext::builder(SslMethod::tls_client())?;
    context.set_max_proto_version(Some(SslVersion::TLS1_2))?;
    context.set_cipher_list(SUITE)?;
    context.set_alpn_protos(b"\x02h2")?;
    context.set_certificate_file(dir.path().join("admin.crt"), SslFiletype::PEM)?;
    context.set_private_key_file(dir.path().join("admin.key"), SslFiletype::PEM)?;
    context.set_ca_file(dir.path().join("daosCA.crt"))?;
    context.set_verify(SslVerifyMode::PEER);
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut stream = tokio_openssl::SslStream::new(Ssl::new(&context.build())?, stream)?;
    Pin::new(&mut stream).connect().await.map_err(io::Error::other)?;
    assert_eq!(stream.ssl().current_cipher().map(|suite| suite.name()), Some(SUITE));
    assert!(crate::paths::ask(stream, "/ctl.CtlSvc/StorageScan").await);
    assert_eq!(served.reached.count(), 1);
    served.end().await;
    Ok(())
}

#[tokio::test]
async fn our_client_speaks_to_a_stock_server() -> io::Result<()> {
    let dir = stock_certificates().await?;
    let mut server = Command::new("openssl");
    let line = format!(
        "s_server -accept 127.0.0.1:0 -tls1_2 -cipher {SUITE} -alpn h2 -Verify 1 -verify_return_error -CAfile daosCA.crt -cert server.crt -key server.key"
    );
    server.args(line.split(' ')).current_dir(dir.path()).kill_on_drop(true);
    server.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = server.spawn()?;
    let (Some(mut input), Some(output)) = (server.stdin.take(), server.stdout.take()) else {
        return Err(io::Error::other("no pipes"));
    };
    let mut lines = BufReader::new(output).lines();
    let port: u16 = loop {
        let line = timeout(LONG, lines.next_line()).await??.expect("it tells its port");
        if let Some(address) = line.strip_prefix("ACCEPT 127.0.0.1:") {
            break address.trim().parse().map_err(io::Error::other)?;
        }
    };
    let admin = Credentials::load(&files(dir.path(), "admin"), Component::Admin);
    let admin = admin.expect("stock certificates are accepted");
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    // The server speaks first, as HTTP/2 servers do.
    let speaking = async {
        loop {
            let line = timeout(LONG, lines.next_line()).await.expect("in time").expect("read");
            if line.expect("a session").contains("CIPHER is") {
                return input.write_all(b"first\n").await;
            }
        }
    };
    let (stream, spoken) = tokio::join!(connect(stream, &admin, Component::Server), speaking);
    spoken?;
    let mut stream = stream.expect("a stock server is accepted");
    let mut word = [0; 6];
    stream.read_exact(&mut word).await?;
    assert_eq!(&word, b"first\n");
    server.kill().await
}

/// What `cert issue --key` is for: a key of the stock kind, and our authority.
#[tokio::test]
async fn an_rsa_key_that_was_brought_along_is_certified() -> io::Result<()> {
    let dir = stock_certificates().await?;
    let own = dir.path().join("own");
    daos_control::tls::authority::init(&own, 30, None, false).expect("made");
    let asked = Issue {
        component: Component::Server,
        names: Vec::new(),
        days: 30,
        key: Some(dir.path().join("server.key")),
        authority_key: None,
        replace: false,
    };
    let issued = issue(&own, &asked).expect("issued");
    assert_eq!(issued.certificate.key, "RSA 2048");
    let said = openssl(&own, "x509 -in server.crt -noout -text").await?;
    assert!(said.contains("Key Encipherment") && said.contains("CN = server"), "{said}");
    Ok(())
}

/// Contract 3.7: the signature of an agent, with the salt that stock agents use.
#[tokio::test]
async fn credentials_signed_by_a_stock_agent_are_believed_and_forged_ones_are_not() -> io::Result<()>
{
    let dir = stock_certificates().await?;
    let token = Token { flavor: 1, data: vec![1, 2, 3] };
    std::fs::write(dir.path().join("token"), [0x08, 1, 0x12, 3, 1, 2, 3])?;
    for salt in ["max", "digest"] {
        openssl(dir.path(), &format!("dgst -sha512 -sign agent.key -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:{salt} -out proof token")).await?;
        let proof = Token { flavor: 1, data: std::fs::read(dir.path().join("proof"))? };
        let credential = Credential {
            token: Some(token.clone()),
            verifier: Some(proof),
            origin: "agent".into(),
        };
        assert_eq!(check_credential(&credential, dir.path()), Ok(token.clone()), "{salt}");
        let other = Token { flavor: 1, data: vec![9] };
        let forged = Credential { token: Some(other), ..credential.clone() };
        assert_eq!(check_credential(&forged, dir.path()), Err(UpcallError::NotPermitted));
        for origin in ["admin", "server"] {
            let borrowed = Credential { origin: origin.into(), ..credential.clone() };
            assert_eq!(check_credential(&borrowed, dir.path()), Err(UpcallError::NotPermitted));
        }
        for origin in ["nobody", "", "../agent", "/etc/agent"] {
            let strange = Credential { origin: origin.into(), ..credential.clone() };
            assert_eq!(check_credential(&strange, dir.path()), Err(UpcallError::NoCertificate));
        }
    }
    Ok(())
}
