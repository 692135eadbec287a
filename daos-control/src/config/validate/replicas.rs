//! Rules of the management service's hosts (R42, E10, contract 5.5).

use super::check::Check;
use crate::config::defaults::DEFAULT_REPLICA_HOST;
use crate::config::model::Replica;
use crate::config::raw::RawConfig;
use crate::fault::code;

/// More replicas only make every write slower.
const MAX_REPLICAS: usize = 7;

/// Reads the replica list; a missing port is the server's own.
pub(super) fn replicas(
    check: &mut Check<'_>,
    raw: &RawConfig,
    port: u16,
    has_engines: bool,
) -> Vec<Replica> {
    let (key, list) = match (&raw.mgmt_svc_replicas, &raw.access_points) {
        (Some(list), Some(_)) => {
            check.fault(
                "access_points",
                code::CONFIG_MIXED_GENERATIONS,
                "`access_points` and `mgmt_svc_replicas` both name the management service's hosts",
                "keep one of `access_points` and `mgmt_svc_replicas`",
            );
            ("mgmt_svc_replicas", list)
        }
        (Some(list), None) => ("mgmt_svc_replicas", list),
        (None, Some(list)) => ("access_points", list),
        (None, None) => return vec![Replica { host: DEFAULT_REPLICA_HOST.to_owned(), port }],
    };
    let mut replicas: Vec<Replica> = Vec::new();
    for (index, written) in list.iter().enumerate() {
        let path = format!("{key}[{index}]");
        let Some(replica) = replica(check, &path, written, port) else { continue };
        if let Some(first) = replicas.iter().position(|other| *other == replica) {
            let text = format!("{replica} is named twice, first in {key}[{first}]");
            check.fault(
                &path,
                code::SERVER_CONFIG_BAD_MGMT_SVC_REPLICAS,
                text,
                "name each host once",
            );
            continue;
        }
        replicas.push(replica);
    }
    let odd = "name 1, 3, 5 or 7 hosts";
    if has_engines && list.is_empty() {
        check.fault(
            key,
            code::SERVER_CONFIG_BAD_MGMT_SVC_REPLICAS,
            "no host runs the management service",
            odd,
        );
    } else if has_engines && list.len() > MAX_REPLICAS {
        let text = format!("{} hosts are more than {MAX_REPLICAS}", list.len());
        check.fault(key, code::CONFIG_TOO_MANY_REPLICAS, text, odd);
    } else if has_engines && list.len() % 2 == 0 {
        let text = format!("{} hosts: an even number has no majority to spare", list.len());
        check.fault(key, code::SERVER_CONFIG_EVEN_MGMT_SVC_REPLICAS, text, odd);
    } else if has_engines && list.len() == 1 {
        let text =
            "one host: without it there is no management service; three survive the loss of one";
        check.notice(key, text);
    }
    replicas
}

fn replica(check: &mut Check<'_>, path: &str, written: &str, port: u16) -> Option<Replica> {
    let (host, own_port) = match written.split_once(':') {
        Some((host, own_port)) => (host, Some(own_port)),
        None => (written, None),
    };
    let form = "write `host` or `host:port`, with a name or an IPv4 address";
    if !is_host(host) {
        check.fault(
            path,
            code::SERVER_CONFIG_BAD_MGMT_SVC_REPLICAS,
            format!("`{written}` is not a host"),
            form,
        );
        return None;
    }
    let Some(own_port) = own_port else { return Some(Replica { host: host.to_owned(), port }) };
    match own_port.parse::<u16>() {
        Ok(0) => {
            check.fault(
                path,
                code::SERVER_CONFIG_BAD_CONTROL_PORT,
                format!("`{written}` has port 0"),
                "give a port from 1 to 65535",
            );
            None
        }
        Ok(own_port) => {
            if own_port != port {
                check.notice(
                    path,
                    format!("port {own_port} differs from this server's port {port}"),
                );
            }
            Some(Replica { host: host.to_owned(), port: own_port })
        }
        Err(_) => {
            check.fault(
                path,
                code::SERVER_CONFIG_BAD_MGMT_SVC_REPLICAS,
                format!("`{own_port}` in `{written}` is not a port"),
                form,
            );
            None
        }
    }
}

/// A host name or a dotted IPv4 address.
fn is_host(host: &str) -> bool {
    let well_formed = !host.is_empty()
        && host.len() <= 253
        && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        && !host.starts_with(['.', '-'])
        && !host.contains("..");
    let looks_numeric = host.chars().all(|c| c.is_ascii_digit() || c == '.');
    well_formed && (!looks_numeric || host.parse::<std::net::Ipv4Addr>().is_ok())
}
