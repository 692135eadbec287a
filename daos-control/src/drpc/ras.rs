//! RAS events: what engines and servers report about reliability, availability and service (contract 9.2).
//!
//! Values and their log line. Called by the supervisor, the engines and whoever forwards events. Must not know the
//! wire (see `messages`).

use std::fmt;

/// What happened, by number; numbers that are not in the table stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct RasId(pub u32);

impl RasId {
    /// Storage waits for a format.
    pub const ENGINE_FORMAT_REQUIRED: Self = Self(1);
    /// An engine process ended.
    pub const ENGINE_DIED: Self = Self(2);
    /// An engine ends itself because it was excluded; it will be started again (contract 4.4).
    pub const ENGINE_SELF_TERMINATED: Self = Self(5);
    /// Pool service replicas changed.
    pub const POOL_REPLICAS_UPDATED: Self = Self(10);
    /// The failure detector saw a rank again.
    pub const SWIM_RANK_ALIVE: Self = Self(16);
    /// The failure detector gave a rank up.
    pub const SWIM_RANK_DEAD: Self = Self(17);
    /// Some ranks could not be started.
    pub const SYSTEM_START_FAILED: Self = Self(18);
    /// Some ranks could not be stopped.
    pub const SYSTEM_STOP_FAILED: Self = Self(19);
    /// The provider of the system changed.
    pub const SYSTEM_FABRIC_PROVIDER_CHANGED: Self = Self(25);
    /// An engine could not join.
    pub const ENGINE_JOIN_FAILED: Self = Self(26);

    /// The name, as it is printed.
    #[must_use]
    pub fn name(self) -> &'static str {
        const NAMES: [&str; 30] = [
            "unknown_ras_event",
            "engine_format_required",
            "engine_died",
            "engine_asserted",
            "engine_clock_drift",
            "engine_self_terminated",
            "pool_corruption_detected",
            "pool_rebuild_started",
            "pool_rebuild_finished",
            "pool_rebuild_failed",
            "pool_replicas_updated",
            "pool_durable_format_incompatible",
            "pool_destroy_deferred",
            "pool_start_failed",
            "container_durable_format_incompatible",
            "rdb_durable_format_incompatible",
            "swim_rank_alive",
            "swim_rank_dead",
            "system_start_failed",
            "system_stop_failed",
            "device_set_faulty",
            "device_media_error",
            "device_unplugged",
            "device_plugged",
            "device_replace",
            "system_fabric_provider_changed",
            "engine_join_failed",
            "device_link_speed_changed",
            "device_link_width_changed",
            "device_led_set",
        ];
        NAMES.get(self.0 as usize).copied().unwrap_or(NAMES[0])
    }
}

/// Whether something changed state, which the management service acts upon, or is worth knowing only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RasType {
    /// Not said.
    Any,
    /// A state changed.
    StateChange,
    /// Information.
    #[default]
    Info,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RasSeverity {
    /// Something failed.
    Error,
    /// Something may fail.
    Warning,
    /// Worth knowing; also stands for whatever is not known.
    #[default]
    Notice,
}

/// What some events carry besides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RasDetail {
    /// Nothing.
    #[default]
    None,
    /// A text.
    Text(String),
    /// The engine that changed, by its index on the host, and how.
    Engine {
        /// Index on its host.
        instance: u32,
        /// Whether it failed.
        errored: bool,
        /// How.
        error: String,
    },
    /// The ranks that serve a pool.
    PoolService {
        /// Their numbers.
        replicas: Vec<u32>,
        /// Version of the set.
        version: u64,
    },
}

/// One event. Texts are empty and numbers 0 where they do not apply.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RasEvent {
    /// What happened.
    pub id: RasId,
    /// In words; at most 128 bytes from an engine.
    pub message: String,
    /// When: `2006-01-02T15:04:05.000000` and the zone, with or without a colon.
    pub timestamp: String,
    /// Kind of event.
    pub kind: RasType,
    /// How bad it is.
    pub severity: RasSeverity,
    /// Where it was raised.
    pub hostname: String,
    /// Rank concerned, if one is.
    pub rank: Option<u32>,
    /// Incarnation of that rank.
    pub incarnation: u64,
    /// Hardware concerned.
    pub hardware_id: String,
    /// Process that raised it.
    pub process_id: u64,
    /// Thread that raised it.
    pub thread_id: u64,
    /// Job concerned.
    pub job_id: String,
    /// Pool concerned.
    pub pool: String,
    /// Container concerned.
    pub container: String,
    /// Object concerned.
    pub object: String,
    /// Control operation concerned.
    pub operation: String,
    /// What some events carry besides.
    pub detail: RasDetail,
}

impl fmt::Display for RasId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for RasType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "ANY",
            Self::StateChange => "STATE_CHANGE",
            Self::Info => "INFO",
        })
    }
}

impl fmt::Display for RasSeverity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "ERROR",
            Self::Warning => "WARNING",
            Self::Notice => "NOTICE",
        })
    }
}

/// The log line: `key: [value]` in fixed order, without what does not apply.
impl fmt::Display for RasEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |value: u64| if value == 0 { String::new() } else { value.to_string() };
        let data = match &self.detail {
            RasDetail::Text(text) => text.as_str(),
            _ => "",
        };
        let rest: [(&str, &str); 12] = [
            ("msg", &self.message),
            ("pid", &number(self.process_id)),
            ("tid", &number(self.thread_id)),
            ("hwid", &self.hardware_id),
            ("rank", &self.rank.map(|rank| rank.to_string()).unwrap_or_default()),
            ("incarnation", &number(self.incarnation)),
            ("jobid", &self.job_id),
            ("pool", &self.pool),
            ("container", &self.container),
            ("objid", &self.object),
            ("ctlop", &self.operation),
            ("data", data),
        ];
        write!(f, "id: [{}]", self.id)?;
        for (key, value) in [("ts", &self.timestamp), ("host", &self.hostname)] {
            if !value.is_empty() {
                write!(f, " {key}: [{value}]")?;
            }
        }
        write!(f, " type: [{}] sev: [{}]", self.kind, self.severity)?;
        for (key, value) in rest {
            if !value.is_empty() {
                write!(f, " {key}: [{value}]")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_line_leaves_out_what_does_not_apply() {
        let bare = RasEvent { id: RasId::ENGINE_DIED, ..RasEvent::default() };
        assert_eq!(bare.to_string(), "id: [engine_died] type: [INFO] sev: [NOTICE]");
    }

    #[test]
    fn log_line_keeps_the_order_of_the_contract() {
        let event = RasEvent {
            id: RasId::ENGINE_SELF_TERMINATED,
            message: "excluded".into(),
            timestamp: "2026-01-02T03:04:05.000006+0000".into(),
            hostname: "n1".into(),
            rank: Some(0),
            incarnation: 9,
            process_id: 7,
            pool: "p".into(),
            detail: RasDetail::Text("more".into()),
            ..RasEvent::default()
        };
        assert_eq!(
            event.to_string(),
            "id: [engine_self_terminated] ts: [2026-01-02T03:04:05.000006+0000] host: [n1] type: [INFO] \
             sev: [NOTICE] msg: [excluded] pid: [7] rank: [0] incarnation: [9] pool: [p] data: [more]"
        );
    }

    #[test]
    fn names_end_with_the_table() {
        assert_eq!(RasId(29).name(), "device_led_set");
        assert_eq!(RasId(30).name(), "unknown_ras_event");
        assert_eq!(RasId::SWIM_RANK_DEAD.name(), "swim_rank_dead");
        assert_eq!(RasId::ENGINE_JOIN_FAILED.name(), "engine_join_failed");
    }
}
