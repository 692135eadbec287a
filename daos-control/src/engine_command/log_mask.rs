//! Log masks of the data plane: reading, checking, and folding a subsystem list into one (R51, contract 4.3).
//!
//! Used when a configuration is checked, when an engine's environment is made and when masks are changed on a
//! running engine. Pure text; knows no configuration key.

use std::fmt;

/// Longest mask, subsystem list or stream list, in characters.
pub const MAX_LENGTH: usize = 1023;

const SUBSYSTEMS: [&str; 43] = [
    "DAOS",
    "ARRAY",
    "KV",
    "COMMON",
    "TREE",
    "VOS",
    "CLIENT",
    "SERVER",
    "RDB",
    "RSVC",
    "POOL",
    "CONTAINER",
    "OBJECT",
    "PLACEMENT",
    "REBUILD",
    "MGMT",
    "BIO",
    "TESTS",
    "DFS",
    "DUNS",
    "DRPC",
    "SECURITY",
    "DTX",
    "DFUSE",
    "IL",
    "CSUM",
    "STACK",
    "MISC",
    "MEM",
    "SWIM",
    "FI",
    "TELEM",
    "CRT",
    "RPC",
    "BULK",
    "CORPC",
    "GRP",
    "LM",
    "HG",
    "EXTERNAL",
    "ST",
    "IV",
    "CTL",
];
const STREAMS: [&str; 18] = [
    "ALL",
    "MD",
    "PL",
    "MGMT",
    "EPC",
    "DF",
    "REBUILD",
    "SEC",
    "CSUM",
    "GROUP_DEFAULT",
    "GROUP_METADATA_ONLY",
    "GROUP_METADATA",
    "ANY",
    "TRACE",
    "MEM",
    "NET",
    "IO",
    "TEST",
];

/// Level of an engine's log, ascending severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EngineLogLevel {
    /// Everything; also written `DEBUG`.
    Debug,
    /// Normal operation.
    Info,
    /// Worth a look.
    Note,
    /// May become a problem.
    Warn,
    /// Something failed; also written `ERROR`.
    Error,
    /// A part of the engine is lost.
    Critical,
    /// Needs action now.
    Alert,
    /// The engine cannot go on; also written `FATAL`.
    Emergency,
    /// Printed always.
    Emit,
}

impl EngineLogLevel {
    /// Reads a level in any case.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word.to_ascii_uppercase().as_str() {
            "DEBUG" | "DBUG" => Self::Debug,
            "INFO" => Self::Info,
            "NOTE" => Self::Note,
            "WARN" => Self::Warn,
            "ERROR" | "ERR" => Self::Error,
            "CRIT" => Self::Critical,
            "ALRT" => Self::Alert,
            "EMRG" | "FATAL" => Self::Emergency,
            "EMIT" => Self::Emit,
            _ => return None,
        })
    }
}

impl fmt::Display for EngineLogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Debug => "DBUG",
            Self::Info => "INFO",
            Self::Note => "NOTE",
            Self::Warn => "WARN",
            Self::Error => "ERR",
            Self::Critical => "CRIT",
            Self::Alert => "ALRT",
            Self::Emergency => "EMRG",
            Self::Emit => "EMIT",
        })
    }
}

/// What is wrong with a mask, and which word of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogMaskError {
    /// Nothing at all.
    #[error("empty")]
    Empty,
    /// Longer than [`MAX_LENGTH`].
    #[error("{length} characters, more than {MAX_LENGTH}")]
    TooLong {
        /// Characters given.
        length: usize,
    },
    /// A character that no mask has.
    #[error("character {found:?} is not a letter, comma, `=` or underscore")]
    BadCharacter {
        /// The character.
        found: char,
    },
    /// An empty word between commas.
    #[error("nothing between two commas, or a comma at an end")]
    EmptyToken,
    /// A word that is no level.
    #[error(
        "`{token}`: `{level}` is not a level; levels are DEBUG INFO NOTE WARN ERR CRIT ALRT FATAL EMIT"
    )]
    UnknownLevel {
        /// The word between commas.
        token: String,
        /// Its level.
        level: String,
    },
    /// A word that is no subsystem.
    #[error("`{token}`: `{subsystem}` is not a subsystem")]
    UnknownSubsystem {
        /// The word between commas.
        token: String,
        /// Its subsystem.
        subsystem: String,
    },
    /// `ALL=` inside a mask.
    #[error("`{token}`: `ALL` cannot be assigned; write the level alone as the first word")]
    AllAssigned {
        /// The word between commas.
        token: String,
    },
    /// A level without a subsystem after the first word.
    #[error("`{token}` has no subsystem; only the first word may be a level alone")]
    BareLevelNotFirst {
        /// The word between commas.
        token: String,
    },
    /// A word that is no debug stream.
    #[error("`{token}` is not a debug stream")]
    UnknownStream {
        /// The word between commas.
        token: String,
    },
}

/// A checked mask: `LEVEL`, then `subsystem=LEVEL` words.
///
/// ```
/// use daos_control::engine_command::log_mask::LogMask;
///
/// let mask: LogMask = "error,mgmt=debug".parse().unwrap();
/// assert_eq!(mask.to_string(), "ERR,mgmt=DBUG");
/// let mask: LogMask = "debug".parse().unwrap();
/// assert_eq!(mask.limited_to("vos").unwrap().to_string(), "ERR,vos=DBUG");
/// assert!("ERR,mgmt=LOUD".parse::<LogMask>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogMask {
    base: Option<EngineLogLevel>,
    assignments: Vec<(String, EngineLogLevel)>,
}

impl std::str::FromStr for LogMask {
    type Err = LogMaskError;

    fn from_str(text: &str) -> Result<Self, LogMaskError> {
        let mut mask = Self { base: None, assignments: Vec::new() };
        for (index, token) in tokens(text)?.into_iter().enumerate() {
            let unknown_level = |level: &str| LogMaskError::UnknownLevel {
                token: token.to_owned(),
                level: level.to_owned(),
            };
            match token.split_once('=') {
                None if index == 0 => {
                    mask.base =
                        Some(EngineLogLevel::parse(token).ok_or_else(|| unknown_level(token))?);
                }
                None => return Err(LogMaskError::BareLevelNotFirst { token: token.to_owned() }),
                Some((subsystem, level)) => {
                    check_subsystem(token, subsystem)?;
                    let level = EngineLogLevel::parse(level).ok_or_else(|| unknown_level(level))?;
                    mask.assignments.push((subsystem.to_owned(), level));
                }
            }
        }
        Ok(mask)
    }
}

impl fmt::Display for LogMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = self.base.iter().map(ToString::to_string);
        let words =
            self.assignments.iter().map(|(subsystem, level)| format!("{subsystem}={level}"));
        f.write_str(&base.chain(words).collect::<Vec<_>>().join(","))
    }
}

impl LogMask {
    /// Folds a list of subsystems (`DD_SUBSYS`) into the mask: its level then holds for those alone, all
    /// others print errors. An empty list or `all` changes nothing.
    ///
    /// # Errors
    /// The word of `subsystems` that is none.
    pub fn limited_to(self, subsystems: &str) -> Result<Self, LogMaskError> {
        let listed = parse_subsystems(subsystems)?;
        if listed.is_empty() {
            return Ok(self);
        }
        let is_listed = |name: &str| listed.iter().any(|word| word.eq_ignore_ascii_case(name));
        let base = self.base.unwrap_or(EngineLogLevel::Error);
        let mut assignments: Vec<(String, EngineLogLevel)> = self
            .assignments
            .into_iter()
            .filter(|(name, level)| *level >= EngineLogLevel::Error || is_listed(name))
            .collect();
        if base < EngineLogLevel::Error {
            for name in &listed {
                if !assignments.iter().any(|(assigned, _)| assigned.eq_ignore_ascii_case(name)) {
                    assignments.push((name.clone(), base));
                }
            }
        }
        let base = base.max(EngineLogLevel::Error);
        assignments.retain(|(_, level)| *level != base);
        Ok(Self { base: Some(base), assignments })
    }
}

/// Checks a list of subsystems (`DD_SUBSYS`); empty when it means all of them.
///
/// # Errors
/// The word that is no subsystem.
pub fn parse_subsystems(text: &str) -> Result<Vec<String>, LogMaskError> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let words = tokens(text)?;
    if words.iter().any(|word| word.eq_ignore_ascii_case("ALL")) {
        return Ok(Vec::new());
    }
    words.into_iter().map(|word| check_subsystem(word, word).map(|()| word.to_owned())).collect()
}

/// Checks a list of debug streams (`DD_MASK`).
///
/// # Errors
/// The word that is no stream.
pub fn check_streams(text: &str) -> Result<(), LogMaskError> {
    for token in tokens(text)? {
        let known = STREAMS.iter().any(|name| name.eq_ignore_ascii_case(token));
        if !known {
            return Err(LogMaskError::UnknownStream { token: token.to_owned() });
        }
    }
    Ok(())
}

fn tokens(text: &str) -> Result<Vec<&str>, LogMaskError> {
    if text.is_empty() {
        return Err(LogMaskError::Empty);
    }
    if text.len() > MAX_LENGTH {
        return Err(LogMaskError::TooLong { length: text.chars().count() });
    }
    if let Some(found) =
        text.chars().find(|c| !(c.is_ascii_alphabetic() || matches!(c, ',' | '=' | '_')))
    {
        return Err(LogMaskError::BadCharacter { found });
    }
    let words: Vec<&str> = text.split(',').collect();
    if words.iter().any(|word| word.is_empty()) {
        return Err(LogMaskError::EmptyToken);
    }
    Ok(words)
}

fn check_subsystem(token: &str, subsystem: &str) -> Result<(), LogMaskError> {
    if subsystem.eq_ignore_ascii_case("ALL") {
        return Err(LogMaskError::AllAssigned { token: token.to_owned() });
    }
    let known = SUBSYSTEMS.iter().any(|name| name.eq_ignore_ascii_case(subsystem));
    if known {
        return Ok(());
    }
    Err(LogMaskError::UnknownSubsystem { token: token.to_owned(), subsystem: subsystem.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::{LogMask, LogMaskError, MAX_LENGTH, check_streams, parse_subsystems};

    fn parse(text: &str) -> Result<LogMask, LogMaskError> {
        text.parse()
    }

    #[test]
    fn r51_good_masks_are_normalised() {
        for (written, printed) in [
            ("ERR,mgmt=DEBUG", "ERR,mgmt=DBUG"),
            ("DEBUG,RPC=ERR,MEM=ERR", "DBUG,RPC=ERR,MEM=ERR"),
            ("debug", "DBUG"),
            ("vos=info", "vos=INFO"),
            ("Fatal,swim=EMIT", "EMRG,swim=EMIT"),
            ("note,hg=alrt", "NOTE,hg=ALRT"),
            ("ERROR", "ERR"),
        ] {
            let mask = parse(written).unwrap();
            assert_eq!(mask.to_string(), printed);
            assert_eq!(parse(printed).unwrap(), mask, "{printed} reads back");
        }
    }

    #[test]
    fn r51_bad_masks_name_the_word() {
        for (written, words) in [
            ("", "empty"),
            ("LOUD", "`LOUD` is not a level"),
            ("ERR,mgmt=LOUD", "`mgmt=LOUD`: `LOUD` is not a level"),
            ("ERR,mgnt=DEBUG", "`mgnt` is not a subsystem"),
            ("ERR,ALL=DEBUG", "`ALL` cannot be assigned"),
            ("ERR,DEBUG", "`DEBUG` has no subsystem"),
            ("ERR,,mgmt=DEBUG", "between two commas"),
            ("ERR,", "between two commas"),
            ("ERR;mgmt=DEBUG", "character ';'"),
            ("ERR mgmt=DEBUG", "character ' '"),
            ("ERR,mgmt=DEBUG=INFO", "`DEBUG=INFO` is not a level"),
            ("ERR,=DEBUG", "`` is not a subsystem"),
        ] {
            let error = parse(written).unwrap_err().to_string();
            assert!(error.contains(words), "{written}: {error}");
        }
        let long = format!("ERR,{}mgmt=DEBUG", "vos=ERR,".repeat(MAX_LENGTH / 8));
        assert!(matches!(parse(&long), Err(LogMaskError::TooLong { .. })));
    }

    #[test]
    fn subsystem_lists_fold_into_the_mask() {
        for (mask, subsystems, folded) in [
            ("debug", "vos", "ERR,vos=DBUG"),
            ("dbug,rdb=crit,pool=err", "pool,mgmt", "ERR,rdb=CRIT,mgmt=DBUG"),
            ("debug", "all", "DBUG"),
            ("debug", "", "DBUG"),
            ("CRIT,vos=DEBUG", "vos", "CRIT,vos=DBUG"),
            ("info,vos=DEBUG,bio=DEBUG", "VOS", "ERR,vos=DBUG"),
            ("vos=DEBUG,bio=INFO", "bio", "ERR,bio=INFO"),
        ] {
            assert_eq!(parse(mask).unwrap().limited_to(subsystems).unwrap().to_string(), folded);
        }
        assert!(parse("debug").unwrap().limited_to("vos,nothing").is_err());
    }

    #[test]
    fn streams_and_subsystem_lists_are_checked() {
        assert!(check_streams("mgmt,group_metadata,TRACE").is_ok());
        assert_eq!(
            check_streams("mgmt,vos").unwrap_err(),
            LogMaskError::UnknownStream { token: "vos".to_owned() }
        );
        assert_eq!(parse_subsystems("rpc,HG").unwrap(), ["rpc", "HG"]);
        assert_eq!(parse_subsystems("rpc,ALL").unwrap(), Vec::<String>::new());
    }
}
