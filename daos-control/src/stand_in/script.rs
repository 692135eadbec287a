//! The script of a stand-in engine's misbehaviour, for tests.
//!
//! Owns the text form, which travels in an engine's environment as [`VARIABLE`]. Must not know how it is carried out.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

/// Name of the environment variable with the script.
pub const VARIABLE: &str = "DAOS_IO_SERVER_FAULTS";

/// What a stand-in engine does differently from a good one. The default is a good one.
///
/// ```
/// use daos_control::stand_in::{Answer, Script};
///
/// let script: Script = "ready-delay=50,set-up=-1014,ignore-sigint".parse().unwrap();
/// assert_eq!(script.set_up, Answer::Status(-1014));
/// assert_eq!(script.to_string(), "ready-delay=50,set-up=-1014,ignore-sigint");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Script {
    /// `ready-delay=MS`: reports that it is ready so much later.
    pub ready_delay: Duration,
    /// `exit-before-ready=CODE`: ends instead of reporting.
    pub exit_before_ready: Option<u8>,
    /// `never-ready`: runs and does not report.
    pub never_ready: bool,
    /// `set-rank=ANSWER`.
    pub set_rank: Answer,
    /// `set-up=ANSWER`.
    pub set_up: Answer,
    /// `group-update=ANSWER`.
    pub group_update: Answer,
    /// `crash-after-set-up`: dies once it has answered.
    pub crash_after_set_up: bool,
    /// `self-terminate`: once set up, reports event 5 with a newer incarnation and kills itself.
    pub self_terminate: bool,
    /// `ignore-sigint`: does not end on SIGINT nor SIGTERM.
    pub ignore_interrupt: bool,
    /// `stderr-lines=N`: writes so many lines to standard error when it starts.
    pub stderr_lines: u32,
}

/// How a scripted method answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Answer {
    /// As it should.
    #[default]
    Honest,
    /// `-1003` and the like: with that status, without doing anything.
    Status(i32),
    /// `fail`: with a failure of the transport.
    Fail,
    /// `garbage`: with a body that is not readable.
    Garbage,
    /// `hang`: never.
    Hang,
}

/// Lines for the help text of a program that takes the script.
pub const HELP: &str = "\
ready-delay=MS         report ready MS milliseconds later
exit-before-ready=N    exit with N instead of reporting ready
never-ready            run without reporting ready
set-rank=ANSWER        answer SET_RANK with ANSWER: a status (-1003), fail, garbage or hang
set-up=ANSWER          the same for SET_UP
group-update=ANSWER    the same for GROUP_UPDATE
crash-after-set-up     abort once SET_UP was answered
self-terminate         once set up, report event 5 with a newer incarnation and die by SIGKILL
ignore-sigint          do not end on SIGINT and SIGTERM
stderr-lines=N         write N lines to standard error at start";

/// A script that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{VARIABLE}: cannot read {item:?}; known are:\n{HELP}")]
pub struct ScriptError {
    /// The item at fault.
    pub item: String,
}

impl FromStr for Script {
    type Err = ScriptError;

    /// Reads comma-separated items; an empty text is a good engine.
    fn from_str(text: &str) -> Result<Self, ScriptError> {
        let mut script = Self::default();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            script.take(item).ok_or_else(|| ScriptError { item: item.to_owned() })?;
        }
        Ok(script)
    }
}

impl Script {
    fn take(&mut self, item: &str) -> Option<()> {
        match item.split_once('=') {
            None => *self.flag(item)? = true,
            Some(("ready-delay", value)) => {
                self.ready_delay = Duration::from_millis(value.parse().ok()?);
            }
            Some(("exit-before-ready", value)) => {
                self.exit_before_ready = Some(value.parse().ok()?);
            }
            Some(("stderr-lines", value)) => self.stderr_lines = value.parse().ok()?,
            Some(("set-rank", value)) => self.set_rank = value.parse().ok()?,
            Some(("set-up", value)) => self.set_up = value.parse().ok()?,
            Some(("group-update", value)) => self.group_update = value.parse().ok()?,
            Some(_) => return None,
        }
        Some(())
    }

    fn flag(&mut self, name: &str) -> Option<&mut bool> {
        Some(match name {
            "never-ready" => &mut self.never_ready,
            "crash-after-set-up" => &mut self.crash_after_set_up,
            "self-terminate" => &mut self.self_terminate,
            "ignore-sigint" => &mut self.ignore_interrupt,
            _ => return None,
        })
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut items = Vec::new();
        if !self.ready_delay.is_zero() {
            items.push(format!("ready-delay={}", self.ready_delay.as_millis()));
        }
        if let Some(code) = self.exit_before_ready {
            items.push(format!("exit-before-ready={code}"));
        }
        let answers = [
            ("set-rank", self.set_rank),
            ("set-up", self.set_up),
            ("group-update", self.group_update),
        ];
        for (name, answer) in answers {
            if answer != Answer::Honest {
                items.push(format!("{name}={answer}"));
            }
        }
        let flags = [
            ("never-ready", self.never_ready),
            ("crash-after-set-up", self.crash_after_set_up),
            ("self-terminate", self.self_terminate),
            ("ignore-sigint", self.ignore_interrupt),
        ];
        items.extend(flags.iter().filter(|(_, set)| *set).map(|(name, _)| (*name).to_owned()));
        if self.stderr_lines > 0 {
            items.push(format!("stderr-lines={}", self.stderr_lines));
        }
        f.write_str(&items.join(","))
    }
}

impl FromStr for Answer {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "fail" => Self::Fail,
            "garbage" => Self::Garbage,
            "hang" => Self::Hang,
            status => Self::Status(status.parse()?),
        })
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Honest => f.write_str("honest"),
            Self::Status(status) => status.fmt(f),
            Self::Fail => f.write_str("fail"),
            Self::Garbage => f.write_str("garbage"),
            Self::Hang => f.write_str("hang"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_of_the_help_is_read_and_written() {
        for line in HELP.lines() {
            let item = line.split_whitespace().next().unwrap();
            let item = item.replace("MS", "5").replace("=N", "=3").replace("ANSWER", "garbage");
            let script: Script = item.parse().unwrap();
            assert_ne!(script, Script::default(), "{item}");
            assert_eq!(script.to_string(), item);
        }
    }

    #[test]
    fn unknown_items_are_named() {
        for item in ["ready", "set-up=honest", "exit-before-ready=256", "ready-delay", "x=1"] {
            assert_eq!(
                format!("never-ready,{item}").parse::<Script>(),
                Err(ScriptError { item: item.to_owned() })
            );
        }
        assert_eq!(" , ".parse(), Ok(Script::default()));
    }
}
