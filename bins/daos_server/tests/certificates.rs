//! Real programs with certificates that are good, bad or not used at all (R103, R168).

mod rig;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use daos_control::testing::{HostRig, Mode};
use daos_control::tls::authority::{Authority, Pair, Request, Validity};
use daos_control::wire::Component;
use rig::{Result, ensure_code, host_in};

async fn refused(host: &mut HostRig, words: &[&str]) -> Result<()> {
    host.start_server(&[])?;
    let (status, log) = host.server_ended().await?;
    assert_eq!(status.code(), Some(1), "{log:#?}");
    let text = log.join("\n");
    for word in words {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(!text.contains("listening on"), "nothing was begun: {text}");
    Ok(())
}

fn replace(host: &HostRig, name: &str, text: &str, mode: u32) -> Result<()> {
    let path = host.file("certs").join(name);
    fs::remove_file(&path)?;
    fs::write(&path, text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(mode))
}

#[tokio::test]
async fn a_server_whose_certificates_are_not_right_does_not_start() -> Result<()> {
    let mut host = host_in(Mode::Certificates, 1)?;
    let certs = host.file("certs");
    let read = |name: &str| fs::read_to_string(certs.join(name));
    let (certificate, key) = (read("server.crt")?, read("server.key")?);

    replace(&host, "server.key", &key, 0o440)?;
    refused(&mut host, &["code = 902", "server.key has mode 0440"]).await?;
    replace(&host, "server.key", &key, 0o400)?;

    let pair = Pair { certificate: read("daosCA.crt")?, key: read("daosCA.key")? };
    let authority = Authority::of(&pair).map_err(std::io::Error::other)?;
    let over = Request {
        validity: Validity { from: 0, to: 1_000_000_000 },
        ..Request::of(Component::Server, Validity::days(1))
    };
    let expired = authority.sign(&over, Some(&key)).map_err(std::io::Error::other)?;
    replace(&host, "server.crt", &expired.certificate, 0o644)?;
    refused(&mut host, &["code = 903", "has expired on 2001-09-09T01:46:40Z"]).await?;

    replace(&host, "server.crt", &read("admin.crt")?, 0o644)?;
    refused(&mut host, &["code = 1402", "made out to \"admin\""]).await?;

    fs::remove_file(certs.join("server.crt"))?;
    refused(&mut host, &["code = 901", "server.crt does not exist", "daos_server cert"]).await?;
    fs::write(certs.join("server.crt"), certificate)?;

    fs::remove_file(certs.join("clients/agent.crt"))?;
    fs::remove_dir(certs.join("clients"))?;
    refused(&mut host, &["code = 901", "client certificate directory", "clients does not exist"])
        .await?;
    host.clear().await
}

/// R103: a key that others can read stops dmg before it asks anybody; there is nobody to ask here.
#[tokio::test]
async fn dmg_looks_at_its_certificates_before_it_connects() -> Result<()> {
    let host = host_in(Mode::Certificates, 1)?;
    let nobody = host.dmg(&["system", "query"]).await?;
    assert!(nobody.code == 1 && !nobody.stderr.contains("certs"), "{nobody:?}");
    fs::set_permissions(host.file("certs/admin.key"), fs::Permissions::from_mode(0o444))?;
    let told = host.dmg(&["system", "query"]).await?;
    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.stderr.contains("code = 902") && told.stderr.contains("admin.key"), "{told:?}");
    host.clear().await
}

#[tokio::test]
async fn insecure_mode_is_said_at_the_start_and_with_every_query() -> Result<()> {
    for (mode, insecure) in [(Mode::Insecure, true), (Mode::Certificates, false)] {
        let mut host = host_in(mode, 1)?;
        rig::formatted(&mut host, 1).await?;
        let log = host.server_log().join("\n");
        assert_eq!(log.contains("insecure mode: no certificates are used"), insecure, "{log}");
        let query = host.dmg(&["system", "query"]).await?;
        ensure_code(&query, 0)?;
        assert_eq!(query.stdout.contains("Insecure mode"), insecure, "{query:?}");
        let query = host.dmg(&["--json", "system", "query"]).await?;
        let answer: serde_json::Value =
            serde_json::from_str(&query.stdout).map_err(std::io::Error::other)?;
        assert_eq!(answer["response"]["insecure"], insecure, "{query:?}");
        if !insecure {
            // Made for ten days: that is soon.
            host.wait_for_log("CN=server ends in ", 1).await?;
            let plain = host.dmg(&["-i", "system", "query"]).await?;
            assert!(plain.code == 1 && plain.stderr.contains("requires certificates"), "{plain:?}");
        }
        host.clear().await?;
    }
    Ok(())
}
