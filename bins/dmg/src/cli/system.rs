//! `dmg system`.

use std::time::Duration;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum SystemCommand {
    /// Show the members and their states
    #[command(visible_alias = "q")]
    Query(Query),
    /// Let hosts check whether they are ready for what is configured
    Preflight(Preflight),
    /// Wait until members are as wanted; exit 1 when the time is over
    Wait(Wait),
    /// Show what happened to the system
    #[command(visible_alias = "ev")]
    Events(Events),
    /// Stop ranks; servers keep running
    #[command(visible_alias = "s")]
    Stop(Stop),
    /// Start ranks
    #[command(visible_alias = "r")]
    Start(Start),
    /// Keep ranks out of the system
    Exclude(Exclude),
    /// Let excluded ranks join again
    ClearExclude(ClearExclude),
    /// Move the data of ranks to others
    Drain(Drain),
    /// Move the data of ranks back to them
    #[command(visible_alias = "reint")]
    Reintegrate(Drain),
    /// Revoke the pool handles of a machine
    Cleanup(Cleanup),
    /// Erase the system, so that its storage can be formatted anew
    Erase(Erase),
    /// Show who leads the management service
    #[command(visible_alias = "l")]
    LeaderQuery(LeaderQuery),
    /// Add, remove and look at the replicas of the management service
    #[command(subcommand)]
    Ms(ManagementCommand),
    /// List the pools
    #[command(visible_alias = "p")]
    ListPools(ListPools),
    /// Set properties of the system
    SetProp(Pairs),
    /// Show properties of the system
    GetProp(GetNames),
    /// Set attributes of the system
    SetAttr(Pairs),
    /// Show attributes of the system
    GetAttr(GetNames),
    /// Delete attributes of the system
    DelAttr(Names),
}

#[derive(Debug, Subcommand)]
pub enum ManagementCommand {
    /// Show every replica as the leader sees it
    Status,
    /// Make hosts replicas, while the system runs
    Add(ChangeReplicas),
    /// Make hosts replicas no longer, while the system runs
    Remove(ChangeReplicas),
}

#[derive(Debug, Args)]
pub struct ChangeReplicas {
    /// The hosts, e.g. node[4-5] or node4:10001
    #[arg(value_name = "HOSTS")]
    pub hosts: String,
    /// Accept an even number of replicas, which survives no more losses than one less
    #[arg(long)]
    pub force_even: bool,
}

/// Which ranks a command is about.
#[derive(Debug, Args, Default)]
pub struct Ranks {
    /// Ranks, e.g. 0-3,5
    #[arg(short, long, visible_alias = "rank", conflicts_with = "rank_hosts")]
    pub ranks: Option<String>,
    /// Hosts whose ranks are meant
    #[arg(long, value_name = "HOSTS")]
    pub rank_hosts: Option<String>,
}

#[derive(Debug, Args)]
pub struct Query {
    #[command(flatten)]
    pub ranks: Ranks,
    /// Show more about each member
    #[arg(short, long)]
    pub verbose: bool,
    /// Only members that need a look: not joined
    #[arg(long)]
    pub not_ok: bool,
    /// Only members in one of these states, e.g. joined,stopped
    #[arg(long, value_name = "STATES", conflicts_with = "not_ok")]
    pub with_states: Option<String>,
    /// Show it again with every change, until interrupted
    #[arg(short = 'w', long)]
    pub watch: bool,
}

#[derive(Debug, Args)]
pub struct Preflight {
    /// Show also what was read for checks that hold
    #[arg(short, long)]
    pub verbose: bool,
}

#[derive(Debug, Args)]
pub struct Wait {
    #[command(flatten)]
    pub ranks: Ranks,
    /// joined=N: at least N members are joined; all-joined: all are, but for those an administrator excluded.
    /// Other states likewise, e.g. all-stopped
    #[arg(long = "for", value_name = "STATE=N|all-STATE")]
    pub wanted: String,
    /// How long, e.g. 90, 90s, 5m
    #[arg(short, long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub timeout: Duration,
}

#[derive(Debug, Args)]
pub struct Events {
    /// Go on with events as they happen, until interrupted; here also -f
    #[arg(short = 'F', long)]
    pub follow: bool,
    /// Only events after this number
    #[arg(short, long, value_name = "NUMBER")]
    pub after: Option<u64>,
    /// Most events to list; without --after the newest
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}

/// Reads a number with or without a unit.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text.strip_prefix(digits) {
        Some("" | "s") => 1,
        Some("m") => 60,
        Some("h") => 3600,
        _ => return Err("write seconds, or a number with s, m or h".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "write a number, e.g. 90s".to_owned())?;
    number.checked_mul(factor).map(Duration::from_secs).ok_or_else(|| "too long".to_owned())
}

#[derive(Debug, Args)]
pub struct Stop {
    #[command(flatten)]
    pub ranks: Ranks,
    /// Leave out ranks that an administrator excluded, instead of failing
    #[arg(long)]
    pub ignore_admin_excluded: bool,
    /// Kill engines at once (the default)
    #[arg(long)]
    pub force: bool,
    /// Let engines prepare for their stop
    #[arg(long, conflicts_with_all = ["force", "ranks", "rank_hosts"])]
    pub full: bool,
}

#[derive(Debug, Args)]
pub struct Start {
    #[command(flatten)]
    pub ranks: Ranks,
    /// Leave out ranks that an administrator excluded, instead of failing
    #[arg(long)]
    pub ignore_admin_excluded: bool,
}

#[derive(Debug, Args)]
pub struct Exclude {
    #[command(flatten)]
    pub ranks: Ranks,
    /// Exclude even the last usable engine on the hosts of the management service
    #[arg(long)]
    pub force_last_usable: bool,
}

#[derive(Debug, Args)]
pub struct ClearExclude {
    #[command(flatten)]
    pub ranks: Ranks,
}

#[derive(Debug, Args)]
pub struct Drain {
    #[command(flatten)]
    pub ranks: Ranks,
}

#[derive(Debug, Args)]
pub struct Cleanup {
    /// The machine, by its host name
    #[arg(value_name = "MACHINE")]
    pub machine: String,
    /// Show every pool, also those where it had no handle
    #[arg(short, long)]
    pub verbose: bool,
}

#[derive(Debug, Args)]
pub struct Erase {
    /// Agree beforehand to the loss of the system
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct LeaderQuery {
    /// Show only replicas that do not answer
    #[arg(short = 'N', long)]
    pub down_replicas: bool,
}

#[derive(Debug, Args)]
pub struct ListPools {
    /// Show more about each pool
    #[arg(short, long)]
    pub verbose: bool,
    /// Accepted for compatibility: pools themselves are not asked
    #[arg(short, long)]
    pub no_query: bool,
}

#[derive(Debug, Args)]
pub struct Pairs {
    /// Names and values: name:value,…
    #[arg(value_name = "NAME:VALUE,…")]
    pub pairs: String,
}

#[derive(Debug, Args)]
pub struct GetNames {
    /// Names, separated by commas; all when left out
    #[arg(value_name = "NAME,…")]
    pub names: Option<String>,
}

#[derive(Debug, Args)]
pub struct Names {
    /// Names, separated by commas
    #[arg(value_name = "NAME,…")]
    pub names: String,
}
