//! The environment: `daos_engine`'s variables (contract 4.3) and the script of misbehaviour.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use daos_control::stand_in::{Script, VARIABLE};

use crate::peers::Times;

/// What the environment says.
#[derive(Debug, PartialEq, Eq)]
pub struct Environment {
    /// `D_PROVIDER`.
    pub provider: String,
    /// `D_INTERFACE`.
    pub interface: String,
    /// `D_PORT`; 0 lets the kernel choose.
    pub port: u16,
    /// `D_LOG_MASK`.
    pub log_mask: String,
    /// `D_LOG_FILE`; standard output without it.
    pub log_file: Option<PathBuf>,
    /// `SWIM_PROTOCOL_PERIOD_LEN`, `SWIM_PING_TIMEOUT`, `SWIM_SUSPECT_TIMEOUT`, in milliseconds.
    pub swim: Times,
    /// How to misbehave.
    pub script: Script,
}

impl Environment {
    /// Reads the variables; empty ones count as absent.
    pub fn read(variables: impl IntoIterator<Item = (OsString, OsString)>) -> anyhow::Result<Self> {
        let mut found = std::collections::BTreeMap::new();
        for (name, value) in variables {
            if let (Some(name), false) = (name.to_str(), value.is_empty()) {
                found.insert(name.to_owned(), value);
            }
        }
        let text = |name: &str| match found.get(name).map(|value| value.to_str()) {
            Some(None) => bail!("{name} is not text"),
            Some(Some(value)) => Ok(Some(value.to_owned())),
            None => Ok(None),
        };
        let needed = |name: &str| {
            text(name)?.with_context(|| {
                format!("{name} is not set; daos_server sets it from its configuration")
            })
        };
        let port = match text("D_PORT")? {
            Some(port) => port.parse().with_context(|| format!("D_PORT is no port: {port}"))?,
            None => 0,
        };
        let time = |name: &str, default: Duration| match text(name)? {
            None => Ok(default),
            Some(value) => match value.parse::<u32>() {
                Ok(ms @ 10..=3_600_000) => Ok(Duration::from_millis(ms.into())),
                _ => bail!("{name} is no number of milliseconds from 10 to 3600000: {value}"),
            },
        };
        let usual = Times::default();
        let swim = Times {
            period: time("SWIM_PROTOCOL_PERIOD_LEN", usual.period)?,
            ping: time("SWIM_PING_TIMEOUT", usual.ping)?,
            suspect: time("SWIM_SUSPECT_TIMEOUT", usual.suspect)?,
        };
        Ok(Self {
            swim,
            provider: needed("D_PROVIDER")?,
            interface: needed("D_INTERFACE")?,
            port,
            log_mask: text("D_LOG_MASK")?.unwrap_or_default(),
            log_file: found.get("D_LOG_FILE").map(PathBuf::from),
            script: text(VARIABLE)?.unwrap_or_default().parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> anyhow::Result<Environment> {
        Environment::read(pairs.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn reads_the_names_of_2_8() {
        let environment = read(&[
            ("D_PROVIDER", "ofi+tcp"),
            ("D_INTERFACE", "lo"),
            ("D_PORT", "31416"),
            ("D_LOG_MASK", "ERR"),
            ("D_LOG_FILE", "/tmp/e.log"),
            ("CRT_TIMEOUT", "0"),
        ])
        .unwrap();
        assert_eq!(environment.port, 31416);
        assert_eq!(environment.log_file, Some("/tmp/e.log".into()));
        assert_eq!(environment.script, Script::default());
    }

    #[test]
    fn says_what_is_missing_or_wrong() {
        let fabric = [("D_PROVIDER", "ofi+tcp"), ("D_INTERFACE", "lo")];
        assert!(read(&fabric[..1]).unwrap_err().to_string().starts_with("D_INTERFACE is not set"));
        let with = |name, value| read(&[fabric[0], fabric[1], (name, value)]);
        assert!(with("D_PORT", "70000").unwrap_err().to_string().contains("70000"));
        assert!(with(VARIABLE, "nonsense").unwrap_err().to_string().contains("nonsense"));
        assert_eq!(with("D_PORT", "").unwrap().port, 0);
        assert_eq!(with("SWIM_PING_TIMEOUT", "600").unwrap().swim.ping, Duration::from_millis(600));
        for value in ["0", "-1", "3600001", "2s"] {
            let error = with("SWIM_SUSPECT_TIMEOUT", value).unwrap_err().to_string();
            assert!(error.contains("SWIM_SUSPECT_TIMEOUT") && error.contains(value), "{error}");
        }
    }
}
