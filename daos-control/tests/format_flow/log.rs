//! Collects the messages of the log, thread by thread: a test sees those of its own.

use std::fmt::Debug;
use std::sync::Mutex;
use std::thread::{self, ThreadId};

use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Event, Metadata, Subscriber};

static LINES: Mutex<Vec<(ThreadId, String)>> = Mutex::new(Vec::new());

/// Starts collecting, for all tests of this process.
pub fn collect() {
    // Another test may have done so already.
    let _ = tracing::subscriber::set_global_default(Collector);
}

/// What this thread has logged so far.
pub fn lines() -> Vec<String> {
    let own = thread::current().id();
    let lines = LINES.lock().unwrap();
    lines.iter().filter(|(id, _)| *id == own).map(|(_, line)| line.clone()).collect()
}

struct Collector;

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl Subscriber for Collector {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}

    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        LINES.lock().unwrap().push((thread::current().id(), message.0));
    }

    fn enter(&self, _span: &span::Id) {}

    fn exit(&self, _span: &span::Id) {}
}
