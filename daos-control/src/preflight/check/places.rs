//! Directories and room in them, the clock, and ports.

use super::super::facts::{
    ClockFacts, HostFacts, PlaceFacts, PlacePurpose, PortFacts, PortPurpose,
};
use super::super::rules::Rule;
use super::{Findings, Problem};
use crate::fault::code;
use crate::ports;

const MIB: u64 = 1 << 20;

/// Bytes below which a directory is told, and what they are for.
fn least(purpose: PlacePurpose) -> u64 {
    match purpose {
        PlacePurpose::State => 64 * MIB,
        PlacePurpose::Sockets => 0,
        PlacePurpose::Log => 1024 * MIB,
        PlacePurpose::Metadata => 256 * MIB,
    }
}

fn name(purpose: PlacePurpose) -> &'static str {
    match purpose {
        PlacePurpose::State => "state",
        PlacePurpose::Sockets => "sockets",
        PlacePurpose::Log => "logs",
        PlacePurpose::Metadata => "control metadata",
    }
}

/// Whether the server makes the directory when it is not there.
fn is_made(purpose: PlacePurpose) -> bool {
    matches!(purpose, PlacePurpose::State | PlacePurpose::Metadata)
}

/// Directories exist where they have to, and this user may write there.
pub(super) fn directories(findings: &mut Findings<'_>, facts: &HostFacts, places: &[PlaceFacts]) {
    for place in places {
        let (path, purpose) = (place.path.display().to_string(), name(place.purpose));
        let missing = place.path != place.existing;
        let text = if missing && !is_made(place.purpose) {
            format!("the directory for {purpose} does not exist")
        } else if place.writable {
            let text = format!("can be used for {purpose}");
            let existing = place.existing.display().to_string();
            findings.passed(Rule::Directories, &path, text, &existing, "may be written");
            continue;
        } else if missing {
            format!("the directory for {purpose} cannot be made below {}", place.existing.display())
        } else {
            format!("user {} may not write to the directory for {purpose}", facts.user)
        };
        let fix = match place.searchable {
            true => format!("as root `mkdir -p {path} && chown {} {path}`", facts.user),
            // Made or not, this user would not get there.
            false => format!(
                "set `{}` to a directory that user {} can reach, e.g. below /var/lib: it may not search {}",
                place.key,
                facts.user,
                place.existing.display()
            ),
        };
        let problem = Problem::new(Rule::Directories, code::HOST_DIRECTORY, text, fix)
            .about(&path)
            .at(&place.key)
            .seen(
                &place.existing.display().to_string(),
                if place.writable { "exists" } else { "may not be written" },
            );
        // An engine that has no log file goes on without one.
        if place.purpose == PlacePurpose::Log && place.key != "control_log_file" {
            findings.warn(problem);
        } else {
            findings.require(problem);
        }
    }
}

/// There is room, and what has to last is not in memory.
pub(super) fn room(findings: &mut Findings<'_>, places: &[PlaceFacts]) {
    for place in places {
        let (path, purpose) = (place.path.display().to_string(), name(place.purpose));
        let problem = |text: String, fix: &str| {
            Problem::new(Rule::DiskSpace, code::HOST_DIRECTORY, text, fix)
                .about(&path)
                .at(&place.key)
        };
        if place.in_memory && is_made(place.purpose) {
            let text = format!("{purpose} in memory is gone after a reboot");
            let fix = format!("set `{}` to a directory on a disk", place.key);
            let problem = problem(text, &fix).seen("statfs", "a file system in memory");
            match place.purpose {
                PlacePurpose::Metadata => findings.warn(problem),
                _ => findings.notice(problem),
            }
        }
        let least = least(place.purpose);
        let Some(available) = place.available.filter(|_| least > 0) else { continue };
        let seen = format!("{} MiB available", available / MIB);
        if available < least {
            let text = format!("less than {} MiB for {purpose}", least / MIB);
            let fix = format!("free some there, or set `{}` to another directory", place.key);
            findings.warn(problem(text, &fix).seen("statfs", seen));
        } else {
            findings.passed(Rule::DiskSpace, &path, format!("room for {purpose}"), "statfs", seen);
        }
    }
}

/// Something keeps the clock right: certificates, leases and the order of events depend on it.
pub(super) fn clock(findings: &mut Findings<'_>, clock: &Result<ClockFacts, String>) {
    let seen = match clock {
        Ok(facts) if facts.synchronised => {
            let seen = format!("synchronised, error at most {} us", facts.max_error_us);
            return findings.passed(Rule::Clock, "", "synchronised", "adjtimex", seen);
        }
        Ok(_) => "STA_UNSYNC",
        Err(why) => why,
    };
    findings.advise(
        Problem::new(
            Rule::Clock,
            code::HOST_CLOCK,
            "nothing keeps the clock of this host right",
            "as root `systemctl enable --now chronyd` (or systemd-timesyncd), with the same time servers on all hosts",
        )
        .seen("adjtimex", seen),
    );
}

/// Ports are free, or held by this very server.
pub(super) fn ports(findings: &mut Findings<'_>, ports: &[PortFacts]) {
    let Some(asked) = findings.asked() else { return };
    for PortFacts { port, purpose, holder } in ports {
        let (subject, key) = match purpose {
            PortPurpose::Control => ("control port".to_owned(), "port".to_owned()),
            PortPurpose::Fabric(index) => {
                (format!("engine {index}"), asked.engine_key(*index, "fabric_iface_port"))
            }
        };
        let source = "/proc/net/tcp";
        let Some(holder) = holder.as_ref().filter(|holder| !holder.ours) else {
            let (text, seen) = match holder {
                Some(_) => ("held by this server", "listening"),
                None => ("free", "nobody listens"),
            };
            findings.passed(Rule::Ports, &subject, format!("port {port} is {text}"), source, seen);
            continue;
        };
        let process = Some(holder.process.as_str()).filter(|process| !process.is_empty());
        let (description, fix) = ports::in_use(*port, process);
        let code = match purpose {
            PortPurpose::Control => code::CONTROL_PORT_IN_USE,
            PortPurpose::Fabric(_) => code::HOST_FABRIC_PORT,
        };
        findings.require(
            Problem::new(Rule::Ports, code, description, fix)
                .about(subject)
                .at(key)
                .seen(source, process.unwrap_or("somebody else's")),
        );
    }
}
