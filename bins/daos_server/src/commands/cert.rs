//! `daos_server cert init|issue|show`: the private authority and the certificates it signs.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use daos_control::Fault;
use daos_control::tls::authority::{self, Issue, Issued};
use daos_control::tls::{Certificate, WARN_DAYS};
use daos_control::wire::Component;
use serde_json::{Value, json};

use super::print;
use crate::cli::{Cert, Global, Role};

/// Works on files; starts nothing and needs no configuration.
pub fn run(global: &Global, command: &Cert) -> Result<()> {
    match command {
        Cert::Init { dir, days, key, replace } => {
            let made =
                authority::init(dir, *days, key.as_deref(), *replace).map_err(Fault::from)?;
            report(global, &made, &authority_advice(dir))
        }
        Cert::Issue { role, dir, names, days, key, authority_key, replace } => {
            let asked = Issue {
                component: component(*role),
                names: names.clone(),
                days: *days,
                key: key.clone(),
                authority_key: authority_key.clone(),
                replace: *replace,
            };
            let issued = authority::issue(dir, &asked).map_err(Fault::from)?;
            report(global, &issued, &shortened(&issued.certificate, *days))
        }
        Cert::Show { paths } => show(global, paths),
    }
}

fn component(role: Role) -> Component {
    match role {
        Role::Admin => Component::Admin,
        Role::Server => Component::Server,
        Role::Agent => Component::Agent,
    }
}

fn authority_advice(dir: &Path) -> String {
    format!(
        "Keep {} on this host only; whoever has it can become an administrator.\n",
        dir.join(authority::AUTHORITY_KEY).display()
    )
}

/// A certificate cannot outlive its authority: who asked for more is told so.
fn shortened(certificate: &Certificate, asked: u32) -> String {
    let left = certificate.days_left(now());
    if left + 1 >= i64::from(asked) {
        return String::new();
    }
    format!(
        "It ends with its authority, after {left} days instead of {asked}; an authority that lasts longer is made with \
         'daos_server cert init --replace --days'.\n"
    )
}

fn report(global: &Global, issued: &Issued, advice: &str) -> Result<()> {
    if global.json {
        let certificate = object(None, &issued.certificate);
        let files: Vec<_> = issued.files.iter().map(|path| path.display().to_string()).collect();
        return print(&format!("{:#}\n", json!({"files": files, "certificate": certificate})));
    }
    let mut text = String::new();
    for path in &issued.files {
        text += &format!("wrote {}\n", path.display());
    }
    text += &format!("{}, until {}\n", issued.certificate.subject, issued.certificate.ends());
    print(&(text + advice))
}

fn show(global: &Global, paths: &[PathBuf]) -> Result<()> {
    let mut all = Vec::new();
    for path in paths {
        all.extend(authority::found(path).map_err(Fault::from)?);
    }
    if global.json {
        let listed: Vec<Value> =
            all.iter().map(|(path, certificate)| object(Some(path), certificate)).collect();
        return print(&format!("{:#}\n", json!({"certificates": listed})));
    }
    if all.is_empty() {
        return print("no certificates found\n");
    }
    let blocks: Vec<String> = all.iter().map(|(path, found)| block(path, found)).collect();
    print(&blocks.join("\n"))
}

fn block(path: &Path, certificate: &Certificate) -> String {
    let days = certificate.days_left(now());
    let left = match days {
        ..0 => "EXPIRED".to_owned(),
        _ if days < WARN_DAYS => format!("{days} days left, renew it soon"),
        _ => format!("{days} days left"),
    };
    let names = match certificate.alternative_names.as_slice() {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    format!(
        "{}\n  subject      {}\n  role         {}\n  other names  {names}\n  issuer       {}\n  \
         valid        {} to {} ({left})\n  key          {}\n  serial       {}\n  SHA-256      {}\n",
        path.display(),
        certificate.subject,
        role(certificate),
        certificate.issuer,
        certificate.begins(),
        certificate.ends(),
        certificate.key,
        certificate.serial,
        certificate.fingerprint(),
    )
}

fn object(path: Option<&Path>, certificate: &Certificate) -> Value {
    json!({
        "file": path.map(|path| path.display().to_string()),
        "subject": certificate.subject,
        "role": role(certificate),
        "alternative_names": certificate.alternative_names,
        "issuer": certificate.issuer,
        "not_before": certificate.begins(),
        "not_after": certificate.ends(),
        "days_left": certificate.days_left(now()),
        "key": certificate.key,
        "serial": certificate.serial,
        "sha256": certificate.fingerprint(),
    })
}

fn role(certificate: &Certificate) -> &'static str {
    match certificate.component() {
        _ if certificate.is_authority => "authority",
        Some(component) => component.as_str(),
        None => "none",
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use daos_control::tls::authority::{Authority, Validity};

    use super::*;

    #[test]
    fn who_asked_for_more_days_than_the_authority_has_is_told() {
        let (authority, _) = Authority::make(Validity::days(10), None).unwrap();
        assert_eq!(shortened(authority.certificate(), 10), "");
        assert_eq!(shortened(authority.certificate(), 3), "");
        assert!(shortened(authority.certificate(), 99_999).contains(" instead of 99999;"));
    }
}
