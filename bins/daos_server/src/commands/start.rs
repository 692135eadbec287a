//! `daos_server start`: configuration, log, server, signals, end (R8-R12, R16, R68).

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use daos_control::config::{
    self, CommandLine, ControlLogMask, Loaded, Surroundings, raw::RawConfig,
};
use daos_control::needs::memlock;
use daos_control::preflight::{Fitted, HostFacts, fit_to_host};
use daos_control::server::{Parts, Server, StartOptions};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{debug, info, warn};
use tracing_subscriber::filter::LevelFilter;

use crate::cli::{Global, Start};
use crate::logging::Logging;

/// Two threads carry everything: the work is waiting, and idle memory counts on a storage node.
const WORKERS: usize = 2;
/// How long system calls that were begun may still take when everything else has ended.
const LAST_CALLS: Duration = Duration::from_secs(2);

/// Runs the server until it is told to end.
pub fn run(global: &Global, options: &Start) -> Result<()> {
    let logging = Logging::begin(global.debug, global.json_logging)?;
    let loaded = config::load(
        global.config.as_deref(),
        &command_line(options),
        &Surroundings::of_this_process()?,
    )
    .map_err(super::config::explained)?;
    follow(&logging, global, &loaded)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .context("starting the runtime")?;
    // The disk may take longer for this than the rest of a start, and only the runtime's end waits for it.
    let (path, effective) = (loaded.path.clone(), loaded.effective.clone());
    let _saving = runtime.spawn_blocking(move || save_active(&path, &effective));
    // Engines inherit it; what may be raised need not be complained of.
    let _limit = memlock::raise();
    let facts =
        HostFacts::observe().context("looking at this host")?.with_devices_of(&loaded.config);
    let fitted = fit_to_host(&loaded, &facts).map_err(super::config::explained)?;
    for notice in &fitted.notices {
        warn!("{notice}");
    }
    let directory = loaded.path.parent().unwrap_or(Path::new("/")).to_owned();
    let ended = runtime.block_on(serve(global, options, fitted, facts, directory));
    // A system call that hangs, in a mount or a name server, must not keep the process.
    runtime.shutdown_timeout(LAST_CALLS);
    ended
}

async fn serve(
    global: &Global,
    options: &Start,
    fitted: Fitted,
    facts: HostFacts,
    config_directory: PathBuf,
) -> Result<()> {
    let mut interrupt = Interrupts::new()?;
    let parts = Parts::of_this_host(&fitted.config);
    let start = StartOptions {
        control_address: fitted.control_address,
        config_directory,
        keys: fitted.keys,
        host: facts,
        auto_format: options.auto_format,
        allow_proxy: global.allow_proxy,
        environment: std::env::vars_os().collect(),
    };
    let starting = Server::start(fitted.config, parts, start);
    let server = tokio::select! {
        started = starting => started?,
        name = interrupt.next() => {
            info!("{name}: shutting down");
            return Ok(());
        }
    };
    tokio::select! {
        ended = server.ended() => {
            server.shut_down(std::future::pending()).await;
            return Ok(ended?);
        }
        name = interrupt.next() => info!("{name}: shutting down"),
    }
    // A second signal means: at once.
    let hurry = async {
        let name = interrupt.next().await;
        warn!("{name}: ending at once");
    };
    server.shut_down(hurry).await;
    Ok(())
}

/// Level, file and form of the log as the configuration says; what was noticed while reading it.
fn follow(logging: &Logging, global: &Global, loaded: &Loaded) -> Result<()> {
    let log = &loaded.config.control_log;
    let level = (!global.debug).then(|| level(log.mask));
    // First of all, so that the lines below go where the configuration says.
    logging.follow(level, log.file.as_deref(), log.json)?;
    debug!("DAOS config read from {}", loaded.path.display());
    if level.is_some() {
        debug!("Switching control log level to {}", format!("{:?}", log.mask).to_uppercase());
    }
    match &log.file {
        Some(file) => info!("logging to {} as well", file.display()),
        None => info!("no control_log_file is set, logging to standard output"),
    }
    for notice in &loaded.notices {
        warn!("{notice}");
    }
    Ok(())
}

/// Failing to save it is worth a warning and nothing more (R38).
fn save_active(path: &Path, effective: &RawConfig) {
    match config::save_active(path, effective) {
        Ok(saved) => debug!("Active config saved to {} (read-only)", saved.display()),
        Err(refused) => warn!("the active configuration could not be saved: {refused}"),
    }
}

fn level(mask: ControlLogMask) -> LevelFilter {
    match mask {
        ControlLogMask::Trace => LevelFilter::TRACE,
        ControlLogMask::Debug => LevelFilter::DEBUG,
        ControlLogMask::Info => LevelFilter::INFO,
        ControlLogMask::Notice => LevelFilter::WARN,
        ControlLogMask::Error => LevelFilter::ERROR,
        ControlLogMask::Disabled => LevelFilter::OFF,
    }
}

fn command_line(options: &Start) -> CommandLine {
    if options.cores.is_some() {
        warn!("-c is deprecated, use -t for the number of targets");
    }
    if options.storage.is_some() {
        warn!("-s is deprecated, set scm_mount in the configuration file");
    }
    CommandLine {
        port: options.port,
        storage: options.storage.as_ref().map(|path| path.display().to_string()),
        modules: options.modules.clone(),
        targets: options.targets.or(options.cores),
        helper_streams: options.helpers,
        first_core: options.first_core,
        group: options.group.clone(),
        socket_dir: options.socket_dir.as_ref().map(|path| path.display().to_string()),
        insecure: options.insecure,
        recreate_superblocks: options.recreate_superblocks,
    }
}

/// The signals that end the server (R16).
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    quit: Signal,
}

impl Interrupts {
    fn new() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.quit.recv() => "SIGQUIT",
        }
    }
}
