//! R103, contract 1.8: files that are missing, open to others, unreadable, wrong or over are told before anything is done.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use daos_control::tls::authority::{Authority, Issue, Request, Validity};
use daos_control::tls::authority::{found, init, issue};
use daos_control::tls::{CertificateFiles, Credentials, TlsError};
use daos_control::wire::Component;

use crate::fixture::{Certs, DAY, now, usual};

fn refused(files: &CertificateFiles, component: Component) -> TlsError {
    Credentials::load(files, component).expect_err("refused")
}

#[test]
fn good_files_of_every_role_are_accepted() {
    let certs = Certs::new();
    for component in [Component::Admin, Component::Agent, Component::Server] {
        assert_eq!(certs.credentials(component).component(), component);
    }
}

#[test]
fn missing_files_and_things_that_are_no_files_are_named() {
    let certs = Certs::new();
    let good = certs.of(Component::Server);
    let nowhere = certs.dir.path().join("nowhere");
    let directory = certs.dir.path().to_owned();
    for (path, code) in [(nowhere, 901), (directory, 902), ("/dev/null".into(), 902)] {
        for files in [
            CertificateFiles { ca: path.clone(), ..good.clone() },
            CertificateFiles { certificate: path.clone(), ..good.clone() },
            CertificateFiles { key: path.clone(), ..good.clone() },
        ] {
            let error = refused(&files, Component::Server);
            assert_eq!(error.code(), code, "{error}");
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        }
    }
}

#[test]
fn rights_beyond_the_policy_are_refused_bit_by_bit() {
    let certs = Certs::new();
    for (component, most) in
        [(Component::Server, 0o400), (Component::Agent, 0o400), (Component::Admin, 0o440)]
    {
        let files = certs.of(component);
        for (path, most) in [(&files.key, most), (&files.certificate, 0o664), (&files.ca, 0o664)] {
            for bit in [0o40, 0o20, 0o10, 0o4, 0o2, 0o1] {
                fs::set_permissions(path, fs::Permissions::from_mode(0o400 | bit)).unwrap();
                let loaded = Credentials::load(&files, component);
                if bit & !most == 0 {
                    assert!(loaded.is_ok(), "{component} {path:?} {bit:o}: {loaded:?}");
                } else {
                    assert_eq!(loaded.expect_err("too open").code(), 902, "{path:?} {bit:o}");
                }
            }
            fs::set_permissions(path, fs::Permissions::from_mode(0o400)).unwrap();
        }
    }
}

#[test]
fn garbage_is_malformed_and_nothing_panics() {
    let certs = Certs::new();
    let good = certs.of(Component::Server);
    let pem = fs::read_to_string(&good.certificate).unwrap();
    let cut = &pem[..pem.len() / 2];
    let key = fs::read_to_string(&good.key).unwrap();
    let not_base64 = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
    let not_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for text in ["", "nonsense", cut, &key, not_base64, not_der] {
        certs.write("bad.crt", text, 0o644);
        let bad = certs.dir.path().join("bad.crt");
        for files in [
            CertificateFiles { ca: bad.clone(), ..good.clone() },
            CertificateFiles { certificate: bad.clone(), ..good.clone() },
        ] {
            assert_eq!(refused(&files, Component::Server).code(), 903, "{text}");
        }
    }
    for text in ["", "nonsense", &pem] {
        certs.write("bad.key", text, 0o400);
        let files = CertificateFiles { key: certs.dir.path().join("bad.key"), ..good.clone() };
        assert_eq!(refused(&files, Component::Server).code(), 903, "{text}");
    }
}

#[test]
fn what_does_not_fit_together_has_its_own_number() {
    let certs = Certs::new();
    let (server, admin) = (certs.of(Component::Server), certs.of(Component::Admin));
    let other_key = CertificateFiles { key: admin.key.clone(), ..server.clone() };
    fs::set_permissions(&admin.key, fs::Permissions::from_mode(0o400)).unwrap();
    assert_eq!(refused(&other_key, Component::Server).code(), 1400);
    assert_eq!(refused(&admin, Component::Server).code(), 1402);
    assert_eq!(refused(&server, Component::Admin).code(), 1402);

    let others = Certs::new();
    let foreign = CertificateFiles { ca: others.dir.path().join("ca.crt"), ..server };
    assert_eq!(refused(&foreign, Component::Server).code(), 1401);

    let only_calls = Request { for_servers: false, ..usual(Component::Server) };
    assert_eq!(refused(&certs.signed("calls", &only_calls), Component::Server).code(), 1401);
    let two_faced = Request { common_name: "server ".into(), ..usual(Component::Server) };
    assert_eq!(refused(&certs.signed("space", &two_faced), Component::Server).code(), 1402);
    // A client library is no party of its own: its name gives no rights.
    let client = Request { common_name: "client".into(), ..usual(Component::Agent) };
    assert_eq!(refused(&certs.signed("client", &client), Component::Client).code(), 1402);
}

#[test]
fn time_is_judged_before_anything_else_and_the_authority_s_as_well() {
    let certs = Certs::new();
    let times = |from, to| Request {
        validity: Validity { from: now() + from * DAY, to: now() + to * DAY },
        ..usual(Component::Server)
    };
    let over = refused(&certs.signed("over", &times(-9, -2)), Component::Server);
    assert!(matches!(over, TlsError::Expired { .. }) && over.code() == 903, "{over}");
    let early = refused(&certs.signed("early", &times(2, 9)), Component::Server);
    assert!(matches!(early, TlsError::NotYetValid { .. }) && early.code() == 903, "{early}");

    let good = certs.of(Component::Server);
    let later = Credentials::load_at(&good, Component::Server, now() + 200 * DAY);
    assert!(matches!(later, Err(TlsError::Expired { path, .. }) if path == good.ca));
}

#[test]
fn what_ends_within_a_month_is_warned_about() {
    let certs = Certs::new();
    let credentials = certs.credentials(Component::Server);
    let at = |days: i64| {
        let seconds = u64::try_from(now() + days * DAY).expect("after 1970");
        std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds)
    };
    assert_eq!(credentials.ending_soon(at(0)), Vec::<String>::new());
    assert_eq!(credentials.ending_soon(at(19)), Vec::<String>::new());
    let soon = credentials.ending_soon(at(21));
    assert!(
        soon.len() == 1 && soon[0].contains("CN=server ends in 29 days")
            || soon[0].contains("28 days"),
        "{soon:?}"
    );
    assert!(credentials.ending_soon(at(51))[0].contains("has expired"));
}

/// The whole way of `daos_server cert`: what is issued loads, lies where stock tools look, and is never overwritten.
#[test]
fn a_directory_is_issued_in_the_stock_layout_and_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let certs = dir.path().join("certs");
    let authority = init(&certs, 100, None, false).unwrap();
    assert_eq!(authority.certificate.subject, "O=DAOS, CN=DAOS CA");
    let asked = |component| Issue {
        component,
        names: vec!["node1.example".into(), "10.0.0.1".into()],
        days: 1000,
        key: None,
        authority_key: None,
        replace: false,
    };
    for component in [Component::Admin, Component::Server, Component::Agent] {
        let issued = issue(&certs, &asked(component)).unwrap();
        assert_eq!(issued.certificate.component(), Some(component));
        let names = &issued.certificate.alternative_names;
        for name in [format!("DNS:{component}"), "DNS:node1.example".into(), "IP:10.0.0.1".into()] {
            assert!(names.contains(&name), "{names:?}");
        }
        assert!(issued.certificate.not_after <= authority.certificate.not_after);
        assert_eq!(issue(&certs, &asked(component)).unwrap_err().code(), 1408);
        let again = Issue { replace: true, ..asked(component) };
        assert_ne!(issue(&certs, &again).unwrap().certificate.serial, issued.certificate.serial);
    }
    assert_eq!(init(&certs, 100, None, false).unwrap_err().code(), 1408);
    let mode = |name: &str| fs::metadata(certs.join(name)).unwrap().permissions().mode() & 0o777;
    for (name, wanted) in [
        ("daosCA.crt", 0o644),
        ("daosCA.key", 0o400),
        ("server.crt", 0o644),
        ("server.key", 0o400),
        ("agent.key", 0o400),
        ("admin.key", 0o440),
        ("clients/agent.crt", 0o644),
    ] {
        assert_eq!(mode(name), wanted, "{name}");
    }
    let listed = found(&certs).unwrap();
    assert_eq!(listed.len(), 5, "{listed:?}");
    fs::remove_file(certs.join("daosCA.key")).unwrap();
    let again = Issue { replace: true, ..asked(Component::Admin) };
    assert_eq!(issue(&certs, &again).unwrap_err().code(), 901);
}

/// What cannot be is refused before anything is written, and a remedy fits what was asked.
#[test]
fn certificates_that_cannot_be_are_not_issued() {
    let dir = tempfile::tempdir().unwrap();
    let certs = dir.path().join("certs");
    let asked = Issue {
        component: Component::Server,
        names: Vec::new(),
        days: 10,
        key: None,
        authority_key: None,
        replace: false,
    };
    let none = issue(&certs, &asked).unwrap_err();
    assert_eq!(none.code(), 901);
    assert!(none.to_string().starts_with("there is no authority in "), "{none}");
    assert!(none.resolution().contains("cert init"), "{}", none.resolution());
    assert_eq!(init(&certs, 0, None, false).unwrap_err().code(), 1407);
    assert!(!certs.exists());

    init(&certs, 100, None, false).unwrap();
    assert_eq!(issue(&certs, &Issue { days: 0, ..asked.clone() }).unwrap_err().code(), 1407);
    let long = "x".repeat(64);
    for name in ["", "bad name!,x", "a,b", "a..b", ".", "10.0.0.1/8", "*", long.as_str()] {
        let refused = issue(&certs, &Issue { names: vec![name.into()], ..asked.clone() });
        assert_eq!(refused.unwrap_err().code(), 1407, "{name:?}");
    }
    assert!(!certs.join("server.crt").exists());
    let names = ["n1", "n_2.example", "*.example", "10.0.0.1", "::1"].map(str::to_owned).to_vec();
    issue(&certs, &Issue { names, ..asked.clone() }).unwrap();

    let nowhere = certs.join("nofile");
    for told in [
        found(&nowhere).unwrap_err(),
        issue(&certs, &Issue { key: Some(nowhere.clone()), replace: true, ..asked }).unwrap_err(),
    ] {
        assert_eq!((told.code(), told.resolution()), (901, "name a file that is there"));
    }
}

/// Two authorities made alike do not trust each other's certificates.
#[test]
fn an_authority_of_the_same_name_is_another_authority() {
    let certs = Certs::new();
    let (twin, _) = Authority::make(Validity::days(100), None).unwrap();
    assert_eq!(twin.certificate().subject, certs.authority.certificate().subject);
    let pair = twin.sign(&usual(Component::Server), None).unwrap();
    assert_eq!(refused(&certs.place("twin", &pair), Component::Server).code(), 1401);
}
