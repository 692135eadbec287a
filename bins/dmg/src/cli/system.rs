//! `dmg system`.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum SystemCommand {
    /// Show the members and their states
    #[command(visible_alias = "q")]
    Query(Query),
    /// Stop ranks; servers keep running
    #[command(visible_alias = "s")]
    Stop(Stop),
    /// Start ranks
    #[command(visible_alias = "r")]
    Start(Start),
    /// Keep ranks out of the system
    Exclude(Exclude),
    /// Let excluded ranks join again
    ClearExclude(Exclude),
    /// Erase the system, so that its storage can be formatted anew
    Erase(Erase),
    /// Show who leads the management service
    #[command(visible_alias = "l")]
    LeaderQuery(LeaderQuery),
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
