//! The log: off unless asked for, and never on standard output, which carries results only.

use std::fmt;
use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Mutex;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use crate::outcome::Failure;

/// Starts the log as the options say. Without debug and without a file nothing is set up at all.
pub fn start(debug: bool, as_json: bool, file: Option<&Path>) -> Result<(), Failure> {
    let level = if debug { LevelFilter::DEBUG } else { LevelFilter::INFO };
    match file {
        Some(path) => {
            let opened =
                OpenOptions::new().append(true).create(true).open(path).map_err(|error| {
                    Failure::text(format!("cannot create log file {}: {error}", path.display()))
                })?;
            install(level, as_json, Mutex::new(opened));
        }
        None if debug => install(level, as_json, std::io::stderr),
        None => {}
    }
    Ok(())
}

fn install<W>(level: LevelFilter, as_json: bool, writer: W)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines =
        tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(writer);
    // A log that is already there, e.g. of an embedding program, stays.
    let _ = if as_json { lines.event_format(JsonLines).try_init() } else { lines.try_init() };
}

/// One JSON object a line: time, level, target, message, and the other fields.
struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut line = Map::new();
        line.insert("time".into(), time.into());
        line.insert("level".into(), event.metadata().level().as_str().into());
        line.insert("target".into(), event.metadata().target().into());
        event.record(&mut Fields(&mut line));
        writeln!(writer, "{}", Value::Object(line))
    }
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}
