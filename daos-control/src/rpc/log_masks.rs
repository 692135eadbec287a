//! Which log settings an engine gets from a request and its own configuration (contract 2.1 `SetLogMasksReq`). Pure.

use daos_proto::ctl::SetLogMasksReq;

use crate::config::EngineConfig;
use crate::drpc::LogMasks;
use crate::engine_command::log_mask::{LogMask, LogMaskError, check_streams, parse_subsystems};
use crate::fault::{Fault, code};

/// The mask of an engine whose configuration has none: what the engine itself starts with.
const DEFAULT_MASK: &str = "ERR";

/// Log settings from an engine's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// Index of the engine on this host.
    pub engine: u32,
    /// Its mask, subsystems folded in.
    pub mask: String,
    /// Its list of subsystems (`DD_SUBSYS`); empty for all.
    pub subsystems: String,
    /// Its debug streams (`DD_MASK`); may be empty.
    pub streams: String,
}

impl LogSettings {
    /// The settings of one engine.
    #[must_use]
    pub fn of(engine: &EngineConfig) -> Self {
        let variable = |name: &str| {
            let found = engine.env_vars.iter().find(|variable| variable.name == name);
            found.map(|variable| variable.value.clone()).unwrap_or_default()
        };
        Self {
            engine: engine.index,
            mask: engine.log_mask.clone().unwrap_or_else(|| DEFAULT_MASK.to_owned()),
            subsystems: variable("DD_SUBSYS"),
            streams: variable("DD_MASK"),
        }
    }
}

/// What each engine gets: the parts that the request gives, and for the parts that it resets what the engine's own
/// configuration says. Subsystems are folded into the mask, as the engine takes no list of them.
///
/// # Errors
/// Fault 1366 naming the part and the word of it that cannot be used.
pub(super) fn masks_for(
    settings: &[LogSettings],
    request: &SetLogMasksReq,
) -> Result<Vec<(u32, LogMasks)>, Fault> {
    if !request.streams.is_empty() {
        check_streams(&request.streams).map_err(|error| refused("streams", &error))?;
    }
    if !request.subsystems.is_empty() {
        parse_subsystems(&request.subsystems).map_err(|error| refused("subsystems", &error))?;
    }
    settings.iter().map(|own| Ok((own.engine, masks_of(own, request)?))).collect()
}

fn masks_of(own: &LogSettings, request: &SetLogMasksReq) -> Result<LogMasks, Fault> {
    let chosen = |reset: bool, own: &String, given: &String| {
        if reset { own.clone() } else { given.clone() }
    };
    let mask = chosen(request.reset_masks, &own.mask, &request.masks);
    let subsystems = chosen(request.reset_subsystems, &own.subsystems, &request.subsystems);
    let mask: LogMask = mask.parse().map_err(|error| refused("masks", &error))?;
    let mask = mask.limited_to(&subsystems).map_err(|error| refused("subsystems", &error))?;
    Ok(LogMasks {
        masks: mask.to_string(),
        streams: chosen(request.reset_streams, &own.streams, &request.streams),
    })
}

fn refused(part: &str, error: &LogMaskError) -> Fault {
    let why: String = error.to_string().chars().take(200).collect();
    Fault::new(
        "server",
        code::REQUEST_MALFORMED,
        format!("log {part} cannot be used: {why}"),
        "write a mask like ERR,mgmt=DEBUG, streams and subsystems as comma lists",
    )
}

#[cfg(test)]
mod tests {
    use daos_proto::ctl::SetLogMasksReq;

    use super::{LogSettings, masks_for};

    fn settings() -> Vec<LogSettings> {
        let own = |engine, mask: &str| LogSettings {
            engine,
            mask: mask.into(),
            subsystems: "vos".into(),
            streams: "mgmt".into(),
        };
        vec![own(0, "ERR,vos=DBUG"), own(1, "INFO")]
    }

    fn masks(request: &SetLogMasksReq) -> Vec<(u32, String, String)> {
        let found = masks_for(&settings(), request).expect("usable");
        found.into_iter().map(|(engine, masks)| (engine, masks.masks, masks.streams)).collect()
    }

    #[test]
    fn given_parts_hold_for_all_engines() {
        let request = SetLogMasksReq {
            masks: "debug".into(),
            streams: "io".into(),
            subsystems: "rpc".into(),
            ..SetLogMasksReq::default()
        };
        let expected = |engine| (engine, "ERR,rpc=DBUG".to_owned(), "io".to_owned());
        assert_eq!(masks(&request), [expected(0), expected(1)]);
    }

    #[test]
    fn reset_parts_come_from_each_engines_configuration() {
        let request = SetLogMasksReq {
            reset_masks: true,
            reset_streams: true,
            reset_subsystems: true,
            ..SetLogMasksReq::default()
        };
        let expected = |engine, mask: &str| (engine, mask.to_owned(), "mgmt".to_owned());
        assert_eq!(masks(&request), [expected(0, "ERR,vos=DBUG"), expected(1, "ERR,vos=INFO")]);
    }

    #[test]
    fn nonsense_names_its_part() {
        let with = |masks: &str, streams: &str, subsystems: &str| SetLogMasksReq {
            masks: masks.into(),
            streams: streams.into(),
            subsystems: subsystems.into(),
            ..SetLogMasksReq::default()
        };
        let huge = "a".repeat(1 << 20);
        for (request, part) in [
            (with("", "", ""), "masks"),
            (with("loud", "", ""), "masks"),
            (with(&huge, "", ""), "masks"),
            (with("err", "vos", ""), "streams"),
            (with("err", "", "nothing"), "subsystems"),
            (with("err", &huge, ""), "streams"),
        ] {
            let fault = masks_for(&settings(), &request).expect_err(part);
            assert_eq!(fault.code, 1366);
            assert!(fault.description.starts_with(&format!("log {part} ")), "{fault}");
            assert!(fault.description.len() < 300);
        }
    }
}
