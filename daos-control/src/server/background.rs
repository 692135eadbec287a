//! What goes on beside requests: pushing the group map while this host leads, and the first start of the engines.
//! One task each, ended by `drain`.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use daos_storage_nvme::{BdevProvider, Recovered};
use tokio::sync::watch;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::engine::{EngineState, EngineStatus, Engines};
use crate::fault::{Fault, code};
use crate::format::{FormatRequest, FormatService};
use crate::management::{Management, ManagementState, push_group_map};
use crate::supervisor::Supervisor;
use crate::tls::Security;

/// Has the storage put right what a crash in the middle of an operation left behind. What cannot be put right shows in scans and plans,
/// so that the server starts all the same.
pub async fn put_right(bdev: &dyn BdevProvider) {
    let recovered = match bdev.recover().await {
        Ok(recovered) => recovered,
        Err(error) => return warn!("{error}; {}", error.resolution()),
    };
    for Recovered { device, result } in recovered {
        match result {
            Ok(what) => info!("{device}: {what}"),
            Err(error) => warn!("{device}: {error}; {}", error.resolution()),
        }
    }
}

/// Pushes the group map whenever this host's replica serves, until the end.
pub async fn push_while_leading(
    management: Management,
    engines: Engines,
    supervisor: Arc<dyn Supervisor>,
    end: CancellationToken,
) {
    let mut states = management.watch();
    loop {
        let state = states.borrow_and_update().clone();
        if let ManagementState::Running(membership) = state {
            push_group_map(
                membership.group_map(),
                membership.watch_role(),
                engines.watch(),
                Arc::clone(&supervisor),
                end.clone(),
            )
            .await;
        }
        tokio::select! {
            () = end.cancelled() => return,
            changed = states.changed() => if changed.is_err() { return },
        }
    }
}

/// How often certificates that end soon are spoken of.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Warns of certificates that end within a month, at the start and every day after it.
pub async fn watch_certificates(security: Security, end: CancellationToken) {
    let mut days = interval(DAY);
    loop {
        tokio::select! {
            () = end.cancelled() => return,
            _ = days.tick() => {}
        }
        if let Some(credentials) = security.credentials().await {
            for warning in credentials.ending_soon(SystemTime::now()) {
                warn!(
                    "{warning}; issue a new one with daos_server cert issue, no restart is needed"
                );
            }
        }
    }
}

/// Refusals of storage that is somebody else's or not what is configured: plans show it, and a format with --reformat may give it up.
const SHOWN_WHILE_SERVING: [i32; 3] =
    [code::SERVER_WRONG_SYSTEM, code::SCM_NOT_AS_CONFIGURED, code::STORAGE_OF_OTHER_ENGINE];

/// Starts every engine, formats what is blank when asked to, and says when nothing at all can run (row D5).
pub async fn first_start(
    engines: Engines,
    format: FormatService,
    auto_format: bool,
    tell: watch::Sender<Option<Fault>>,
    end: CancellationToken,
) {
    let started = async {
        let states = engines.start_all().await;
        let waiting =
            states.iter().any(|seen| matches!(seen.state, EngineState::WaitingForFormat(_)));
        if auto_format && waiting {
            info!("formatting blank storage, as --auto-format asks");
            if let Err(refused) = format.apply(FormatRequest::default(), None).await {
                error!("the storage was not formatted: {refused}");
            }
        }
        states
    };
    tokio::select! {
        () = end.cancelled() => {}
        states = started => {
            if let Some(fault) = nothing_can_run(&states) {
                tell.send_replace(Some(fault));
            }
            // The receiver lives as long as the server; nothing more will be told.
            end.cancelled().await;
        }
    }
}

/// The fault with which a server ends that has nothing to serve for: each engine is refused, and for no reason with which an
/// administrator can deal through the server.
fn nothing_can_run(states: &[EngineStatus]) -> Option<Fault> {
    let lasting = states.iter().map(|seen| match &seen.state {
        EngineState::Refused(fault) if !SHOWN_WHILE_SERVING.contains(&fault.code) => Some(fault),
        _ => None,
    });
    lasting.collect::<Option<Vec<_>>>()?.first().map(|fault| (*fault).clone())
}
