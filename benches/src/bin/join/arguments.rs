//! The command line.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Parser, ValueEnum};

/// Most joins at once when each has a connection of its own.
const MOST_CONNECTIONS: usize = 256;
/// Requests that a server works on for one connection at once.
const MOST_IN_FLIGHT: usize = 256;

/// Joins of a large system, measured on release programs.
#[derive(Debug, Parser)]
pub struct Arguments {
    /// What to measure.
    #[arg(long, value_enum, default_value_t = Measure::Joins)]
    pub measure: Measure,
    /// Engines that join, one measurement for each number.
    #[arg(long, value_delimiter = ',', default_value = "1000,2048,10000,50000")]
    pub members: Vec<u32>,
    /// Connections that the joins share, or `each` for one connection for each join, 256 at once.
    #[arg(long, value_delimiter = ',', default_value = "16")]
    pub connections: Vec<Connections>,
    /// Joins in flight on each shared connection.
    #[arg(long, default_value_t = 64, value_parser = in_flight)]
    pub in_flight: usize,
    /// Replicas of the management service: one daos_server for each.
    #[arg(long, default_value_t = 1, value_parser = odd)]
    pub replicas: usize,
    /// Runs of each measurement, or rounds of leader loss; medians are printed after the last.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=99))]
    pub runs: u16,
    /// Queries in one run.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=99))]
    pub queries: u16,
    /// A directory on a disk for the system database; the place for temporary files when it is not given.
    #[arg(long)]
    pub disk: Option<PathBuf>,
    /// A directory with the programs; nothing is built then.
    #[arg(long)]
    pub programs: Option<PathBuf>,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Measure {
    /// Joins, memory before, during and after them, queries.
    Joins,
    /// The time from kill -9 of the leader to the first write that another accepts.
    LeaderLoss,
}

/// How joins reach the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connections {
    /// Over so many connections.
    Shared(usize),
    /// Each over its own, so many at once.
    Each(usize),
}

impl FromStr for Connections {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("each", _) => Ok(Self::Each(MOST_CONNECTIONS)),
            (_, Ok(count)) if (1..=MOST_CONNECTIONS).contains(&count) => Ok(Self::Shared(count)),
            _ => Err(format!("a number up to {MOST_CONNECTIONS}, or each")),
        }
    }
}

impl std::fmt::Display for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shared(count) => count.fmt(f),
            Self::Each(_) => f.write_str("each"),
        }
    }
}

fn in_flight(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=MOST_IN_FLIGHT).contains(count));
    count.ok_or_else(|| format!("a number from 1 to {MOST_IN_FLIGHT}"))
}

fn odd(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| [1, 3, 5, 7].contains(count));
    count.ok_or_else(|| "1, 3, 5 or 7".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Arguments, Connections};

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
        let one =
            Arguments::try_parse_from(["join", "--members", "5,7", "--connections", "2,each"]);
        let one = one.unwrap();
        assert_eq!(one.members, [5, 7]);
        assert_eq!(one.connections, [Connections::Shared(2), Connections::Each(256)]);
        for refused in [["--connections", "257"], ["--in-flight", "0"], ["--replicas", "2"]] {
            assert!(Arguments::try_parse_from(["join", refused[0], refused[1]]).is_err());
        }
    }
}
