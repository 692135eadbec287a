//! `daos_server ms status|backup|recover|restore`: the system database of this host while no server runs.

use std::fmt::Write as _;
use std::io::{BufRead, IsTerminal, Write as _};
use std::path::Path;

use anyhow::{Context, Result};
use daos_control::Fault;
use daos_control::config::{self, CommandLine, Loaded, Surroundings};
use daos_control::management::{Kept, OfflineReplica, RecoveryPlan, Replica, RestorePlan};
use daos_control::server::replica_hosts;
use serde_json::{Value, json};

use super::print;
use crate::cli::{Global, Ms};

/// Works on the database of the configured host; starts nothing.
pub fn run(global: &Global, command: &Ms) -> Result<()> {
    let surroundings = Surroundings::of_this_process()?;
    let loaded = config::load(global.config.as_deref(), &CommandLine::default(), &surroundings)
        .map_err(super::config::explained)?;
    let replica = OfflineReplica::of(&loaded.config)?;
    match command {
        Ms::Status => status(global, &replica),
        Ms::Backup { file } => backup(&replica, file),
        Ms::Recover { yes } => recover(&replica, &loaded, *yes),
        Ms::Restore { list: true, .. } => list(global, &replica.kept()?),
        Ms::Restore { from, yes, .. } => {
            let from =
                from.as_deref().context("name a backup with --from, or list them with --list")?;
            restore(&replica, &loaded, from, *yes)
        }
    }
}

fn status(global: &Global, replica: &OfflineReplica) -> Result<()> {
    let found = replica.inspect()?;
    let known = found.replicas.as_ref();
    let voting = known.map(|known| known.set.voting()).unwrap_or_default();
    let learning = known.map(|known| known.set.learning()).unwrap_or_default();
    let last = found.summary.upto;
    if global.json {
        let listed = |replicas: &[Replica]| -> Vec<Value> {
            let one = |replica: &Replica| json!({"id": replica.id.to_string(), "addr": replica.address.to_string()});
            replicas.iter().map(one).collect()
        };
        return print(&format!(
            "{:#}\n",
            json!({
                "file": found.path.display().to_string(),
                "system": {"name": found.identity.name, "uuid": found.identity.uuid.to_string()},
                "id": found.replica.map(|id| id.to_string()),
                "unused": found.unused,
                "voters": listed(&voting),
                "learners": listed(&learning),
                "last": last.map(|id| json!({"term": id.term, "index": id.index})),
                "members": found.summary.members,
                "next_rank": found.summary.next_rank.map(|rank| rank.get()),
                "snapshots": kept_json(&replica.kept()?),
            })
        ));
    }
    let mut text = format!(
        "System database {}\n  system    {} (uuid {})\n  replica   {}\n",
        found.path.display(),
        found.identity.name,
        found.identity.uuid,
        found.replica.map_or_else(|| "no id yet".to_owned(), |id| id.to_string()),
    );
    let mut row = |name: &str, value: String| {
        // Writing to a String does not fail.
        let _infallible = writeln!(text, "  {name:<9} {value}");
    };
    let joined = |replicas: &[Replica]| {
        replicas.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    row("voters", if voting.is_empty() { "this one alone".to_owned() } else { joined(&voting) });
    if !learning.is_empty() {
        row("learners", joined(&learning));
    }
    row(
        "last",
        last.map_or_else(
            || "nothing".to_owned(),
            |id| format!("entry {} of term {}", id.index, id.term),
        ),
    );
    row("members", found.summary.members.to_string());
    let snapshots = replica.kept()?;
    row("snapshots", format!("{} kept ('daos_server ms restore --list')", snapshots.len()));
    print(&text)
}

fn backup(replica: &OfflineReplica, file: &Path) -> Result<()> {
    let head = replica.back_up(file)?;
    print(&format!(
        "wrote {}: system {} up to entry {} of term {}, {} bytes\n",
        file.display(),
        head.system.uuid,
        head.upto.index,
        head.upto.term,
        head.bytes
    ))
}

fn list(global: &Global, kept: &[Kept]) -> Result<()> {
    if global.json {
        return print(&format!("{:#}\n", json!({"snapshots": kept_json(kept)})));
    }
    if kept.is_empty() {
        return print("no snapshots are kept yet\n");
    }
    let mut text = String::new();
    for (path, head) in kept {
        let line = match head {
            Ok(head) => format!(
                "up to entry {} of term {}, taken {}",
                head.upto.index, head.upto.term, head.taken
            ),
            Err(fault) => fault.to_string(),
        };
        text += &format!("{}  {line}\n", path.display());
    }
    print(&text)
}

fn kept_json(kept: &[Kept]) -> Vec<Value> {
    let one = |(path, head): &Kept| match head {
        Ok(head) => json!({
            "file": path.display().to_string(),
            "term": head.upto.term,
            "index": head.upto.index,
            "taken": head.taken.to_string(),
        }),
        Err(fault) => json!({"file": path.display().to_string(), "error": fault.to_string()}),
    };
    kept.iter().map(one).collect()
}

fn recover(replica: &OfflineReplica, loaded: &Loaded, yes: bool) -> Result<()> {
    let plan = replica.plan_recovery()?;
    others_are_lost(replica, loaded, &plan.lost)?;
    agreed(&recovery_text(&plan), yes)?;
    let summary = replica.recover(&plan)?;
    print(&format!(
        "{} is the only replica of the system now, with {} members; start its server, then add others with \
         'dmg system ms add'\n",
        plan.me, summary.members
    ))
}

fn others_are_lost(replica: &OfflineReplica, loaded: &Loaded, others: &[Replica]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let hosts = replica_hosts(&loaded.config)?;
    Ok(runtime.block_on(replica.others_are_lost(others, &hosts))?)
}

fn recovery_text(plan: &RecoveryPlan) -> String {
    let lost: Vec<String> = plan.lost.iter().map(ToString::to_string).collect();
    let last = plan.now.summary.upto.map_or(0, |id| id.index);
    format!(
        "Recovering system {} (uuid {}):\n  {} becomes its only replica, with everything up to entry {last}\n  \
         {} members; the next {} ranks are never given\n  lost: {}\n  what only those had acknowledged is gone, and they must \
         not run as replicas of it again:\n  started later, they set their databases aside\n",
        plan.now.identity.name,
        plan.now.identity.uuid,
        plan.me,
        plan.now.summary.members,
        plan.ranks_left_out,
        if lost.is_empty() { "no other replica".to_owned() } else { lost.join(", ") },
    )
}

fn restore(replica: &OfflineReplica, loaded: &Loaded, from: &Path, yes: bool) -> Result<()> {
    let plan = replica.plan_restore(from)?;
    others_are_lost(replica, loaded, &plan.others)?;
    agreed(&restore_text(&plan), yes)?;
    let me = plan.me;
    let (summary, aside) = replica.restore(plan)?;
    let aside = aside.map(|aside| format!("the former database is {}\n", aside.display()));
    print(&format!(
        "the system was restored with {} members; {me} is its only replica\n{}",
        summary.members,
        aside.unwrap_or_default()
    ))
}

fn restore_text(plan: &RestorePlan) -> String {
    let others: Vec<String> = plan.others.iter().map(ToString::to_string).collect();
    let replaces = plan.replaces.as_ref().map_or_else(
        || "there is no database now".to_owned(),
        |path| format!("{} is set aside", path.display()),
    );
    format!(
        "Restoring system {} (uuid {}) from {}:\n  its state at entry {} of term {}, taken {}: {} members\n  \
         everything that happened since is gone; the next {} ranks are never given\n  {replaces}\n  {} becomes the only \
         replica; all others{} set their databases aside when they meet it, and are added again\n",
        plan.head.system.name,
        plan.head.system.uuid,
        plan.from.display(),
        plan.head.upto.index,
        plan.head.upto.term,
        plan.head.taken,
        plan.summary.members,
        plan.ranks_left_out,
        plan.me,
        if others.is_empty() { String::new() } else { format!(" ({})", others.join(", ")) },
    )
}

/// Shows what would be done and asks, unless it was agreed to beforehand. Only the whole word `yes` agrees, and only on
/// a terminal.
fn agreed(plan: &str, yes: bool) -> Result<()> {
    let mut errors = std::io::stderr();
    errors.write_all(plan.as_bytes()).context("the plan cannot be shown")?;
    let stdin = std::io::stdin();
    if yes {
        return Ok(());
    }
    if stdin.is_terminal() {
        write!(errors, "Type yes to go on: ").and_then(|()| errors.flush())?;
        let mut line = String::new();
        stdin.lock().read_line(&mut line)?;
        if line.trim() == "yes" {
            return Ok(());
        }
    }
    Err(Fault::new(
        "server",
        daos_control::fault::code::CLIENT_NOT_CONFIRMED,
        "nothing was changed: the plan was not confirmed",
        "type yes when asked, or give --yes",
    )
    .into())
}
