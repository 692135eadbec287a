//! News on its way between rooms: from engine processes and formats to engine tasks, from engines to `news`. One small task
//! each, ended by `drain`.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::news::News;
use crate::drpc::RasId;
use crate::engine::{Engines, Event};
use crate::format::StorageReady;
use crate::supervisor::{EngineEventKind, EventStream};

/// Hands process events to the engines' tasks until the supervisor ends.
pub async fn deliver_engine_events(mut events: EventStream, engines: Engines, news: News) {
    while let Some(event) = events.next().await {
        let index = event.index;
        match event.kind {
            EngineEventKind::Started { .. } => {}
            EngineEventKind::Ready { pid, ready } => {
                info!("engine {index} is ready at {}", ready.uri);
                engines.tell(index, Event::Ready { pid, ready }).await;
            }
            EngineEventKind::Exited { pid, status, .. } => {
                engines.tell(index, Event::Exited { pid, status }).await;
            }
            EngineEventKind::Ras(ras) => {
                if ras.id == RasId::ENGINE_SELF_TERMINATED {
                    engines.tell(index, Event::SelfTerminated).await;
                }
                news.raise(ras);
            }
        }
    }
}

/// Tells engines that their storage was formatted, until the end.
pub async fn deliver_formats(
    mut ready: mpsc::Receiver<StorageReady>,
    engines: Engines,
    end: CancellationToken,
) {
    while let Some(Some(told)) = end.run_until_cancelled(ready.recv()).await {
        let StorageReady { index, replace, formatted } = told;
        let event = if formatted { Event::Formatted { replace } } else { Event::FoundFormatted };
        engines.tell(index, event).await;
    }
}
