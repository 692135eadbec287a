//! Rules of one engine's own keys.

use std::path::PathBuf;

use super::check::{Check, INVALID, text};
use super::{environment, fabric, logging, tiers};
use crate::config::defaults::DEFAULT_HELPER_STREAMS;
use crate::config::model::{
    Acceleration, AccelerationEngine, AutoFaulty, EngineConfig, IoBuffers, SpdkRpcServer,
};
use crate::config::raw::{RawConfig, RawEngine};
use crate::engine_command::tuning;
use crate::fault::code;

/// More threads than any host runs.
const MAX_THREADS: i64 = 1024;
const THREADS: std::ops::RangeInclusive<i64> = 0..=MAX_THREADS;
const COUNT: std::ops::RangeInclusive<i64> = 0..=u32::MAX as i64;

/// Checks one entry; `seed_form` says that it stands under `servers`.
pub(super) fn engine(
    check: &mut Check<'_>,
    raw: &RawConfig,
    entry: &RawEngine,
    index: u32,
    path: &str,
    seed_form: bool,
) -> EngineConfig {
    let key = |name: &str| format!("{path}.{name}");
    taken_from_top_level(check, entry, path);
    let (first_core, pinned_numa_node) = placement(check, raw, entry, path);
    let storage = tiers::tiers(check, entry, path);
    let env_key = key("env_vars");
    let env_vars = environment::variables(check, &env_key, entry.env_vars.as_ref());
    logging::variables(check, &env_key, entry.env_vars.as_ref(), &env_vars);
    let engine = EngineConfig {
        index,
        // The largest number means 'none' on the wire (E8).
        rank: check.number(&key("rank"), entry.rank, 0..=i64::from(u32::MAX) - 1, INVALID),
        targets: targets(check, entry, index, path, seed_form),
        helper_streams: check
            .number(&key("nr_xs_helpers"), entry.nr_xs_helpers, THREADS, INVALID)
            .unwrap_or(DEFAULT_HELPER_STREAMS),
        first_core,
        pinned_numa_node,
        fabric: fabric::engine(check, raw, entry, index, path),
        bypass_health_check: entry.bypass_health_chk.unwrap_or(false),
        log_mask: logging::engine_mask(check, &key("log_mask"), entry.log_mask.as_ref()),
        log_file: log_file(check, entry, path),
        env_vars,
        env_pass_through: environment::pass_through(
            check,
            &key("env_pass_through"),
            entry.env_pass_through.as_ref(),
        ),
        scm: storage.scm,
        bdevs: storage.bdevs,
        acceleration: acceleration(check, entry, path),
        spdk_rpc_server: spdk_rpc_server(entry),
        auto_faulty: auto_faulty(check, entry, path),
        io_buffers: io_buffers(check, entry, path),
    };
    tuned_variables(check, entry, &engine, path);
    engine
}

fn taken_from_top_level(check: &mut Check<'_>, entry: &RawEngine, path: &str) {
    let written =
        [("name", &entry.name), ("socket_dir", &entry.socket_dir), ("modules", &entry.modules)];
    for (key, value) in written {
        if text(value.as_ref()).is_some() {
            let notice = format!("without effect: `{key}` of the top level holds for every engine");
            check.notice(format!("{path}.{key}"), notice);
        }
    }
}

fn placement(
    check: &mut Check<'_>,
    raw: &RawConfig,
    entry: &RawEngine,
    path: &str,
) -> (Option<u32>, Option<u32>) {
    let core_key = format!("{path}.first_core");
    let node_key = format!("{path}.pinned_numa_node");
    let first_core: Option<u32> = check.number(&core_key, entry.first_core, COUNT, INVALID);
    let own_node: Option<u32> = check.number(&node_key, entry.pinned_numa_node, COUNT, INVALID);
    if own_node.is_some() && first_core.is_some_and(|core| core != 0) {
        check.fault(
            node_key,
            INVALID,
            "`pinned_numa_node` and `first_core` both place the engine",
            "keep one of `pinned_numa_node` and `first_core`",
        );
    }
    if own_node.is_some() || first_core.is_some() {
        return (first_core, own_node);
    }
    (None, check.number("pinned_numa_node", raw.pinned_numa_node, COUNT, INVALID))
}

fn targets(
    check: &mut Check<'_>,
    entry: &RawEngine,
    index: u32,
    path: &str,
    seed_form: bool,
) -> u32 {
    let key = format!("{path}.targets");
    let least = i64::from(!seed_form);
    if entry.targets.is_none() && !seed_form {
        let text = format!("engine {index}: the number of targets is missing");
        check.fault(&key, INVALID, text, "set `targets` to at least 1");
    }
    check.number(&key, entry.targets, least..=MAX_THREADS, INVALID).unwrap_or(0)
}

fn log_file(check: &mut Check<'_>, entry: &RawEngine, path: &str) -> Option<PathBuf> {
    let key = format!("{path}.log_file");
    match text(entry.log_file.as_ref()) {
        Some(file) => check.absolute(&key, file),
        None => {
            check.notice(key, "no log file: the engine's output lands in the server's log");
            None
        }
    }
}

fn acceleration(check: &mut Check<'_>, entry: &RawEngine, path: &str) -> Acceleration {
    let Some(raw) = &entry.acceleration else { return Acceleration::default() };
    let engine = match text(raw.engine.as_ref()).unwrap_or("none") {
        "none" => AccelerationEngine::None,
        "spdk" => AccelerationEngine::Spdk,
        "dml" => AccelerationEngine::Dml,
        other => {
            let text = format!("`{other}` is not an acceleration engine");
            check.fault(
                format!("{path}.acceleration.engine"),
                code::BDEV_ACCEL_ENGINE_UNKNOWN,
                text,
                "use none, spdk or dml",
            );
            AccelerationEngine::None
        }
    };
    let mut acceleration = Acceleration { engine, moves: false, crc: false };
    let options = raw.options.as_deref().unwrap_or_default();
    for (index, option) in options.iter().enumerate() {
        match option.as_str() {
            "move" => acceleration.moves = true,
            "crc" => acceleration.crc = true,
            other => check.fault(
                format!("{path}.acceleration.options[{index}]"),
                code::BDEV_CONFIG_OPT_FLAG_UNKNOWN,
                format!("`{other}` is not an acceleration option"),
                "use move and crc, or leave `options` out for both",
            ),
        }
    }
    if engine != AccelerationEngine::None && options.is_empty() {
        acceleration = Acceleration { engine, moves: true, crc: true };
    }
    acceleration
}

fn spdk_rpc_server(entry: &RawEngine) -> Option<SpdkRpcServer> {
    let raw = entry.spdk_rpc_server.as_ref()?;
    Some(SpdkRpcServer {
        enable: raw.enable.unwrap_or(false),
        sock_addr: raw.sock_addr.clone().unwrap_or_default(),
    })
}

fn auto_faulty(check: &mut Check<'_>, entry: &RawEngine, path: &str) -> Option<AutoFaulty> {
    let raw = entry.bdev_auto_faulty.as_ref()?;
    let mut count = |name: &str, written| {
        check
            .number(&format!("{path}.bdev_auto_faulty.{name}"), written, COUNT, INVALID)
            .unwrap_or(0)
    };
    Some(AutoFaulty {
        enable: raw.enable.unwrap_or(false),
        max_io_errs: count("max_io_errs", raw.max_io_errs),
        max_csum_errs: count("max_csum_errs", raw.max_csum_errs),
    })
}

fn io_buffers(check: &mut Check<'_>, entry: &RawEngine, path: &str) -> Option<IoBuffers> {
    let raw = entry.spdk_iobuf.as_ref()?;
    let mut count = |name: &str, written| {
        check.number(&format!("{path}.spdk_iobuf.{name}"), written, COUNT, INVALID).unwrap_or(0)
    };
    Some(IoBuffers {
        small_pool_count: count("small_pool_count", raw.small_pool_count),
        large_pool_count: count("large_pool_count", raw.large_pool_count),
    })
}

/// Values of `env_vars` that the engine could not work with.
fn tuned_variables(check: &mut Check<'_>, entry: &RawEngine, engine: &EngineConfig, path: &str) {
    let given = |name: &str| {
        engine
            .env_vars
            .iter()
            .find(|variable| variable.name == name)
            .map(|found| found.value.as_str())
    };
    let Err(error) = tuning::variables(engine, given) else { return };
    let written = entry.env_vars.iter().flatten();
    let index = written
        .enumerate()
        .find(|(_, text)| text.split_once('=').is_some_and(|(name, _)| name == error.variable))
        .map_or(0, |(index, _)| index);
    check.fault(
        format!("{path}.env_vars[{index}]"),
        INVALID,
        error.to_string(),
        format!("remove {} from `env_vars`; the server sets it", error.variable),
    );
}
