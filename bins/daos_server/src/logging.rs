//! Log lines of `daos_server`: where they go and how they look (R10, R12, R49, R52; seed 2.14).
//!
//! A line is `<host> <LEVEL> YYYY/MM/DD HH:MM:SS text`, in UTC; debug lines add where they come from. With JSON each line is an
//! object with level, time, extra, source and message.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, reload};

const PLAIN_TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]/[month]/[day] [hour]:[minute]:[second]");
const JSON_TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// Switches that are known only after the configuration was read.
pub struct Logging {
    level: reload::Handle<Targets, tracing_subscriber::Registry>,
    file: Arc<std::sync::OnceLock<File>>,
    json: Arc<std::sync::atomic::AtomicBool>,
}

impl Logging {
    /// Begins to log to standard output at INFO, or DEBUG when asked for.
    pub fn begin(debug: bool, json: bool) -> Result<Self> {
        let first = if debug { LevelFilter::DEBUG } else { LevelFilter::INFO };
        let (filter, level) = reload::Layer::new(ours_at(first));
        let file = Arc::new(std::sync::OnceLock::new());
        let json = Arc::new(std::sync::atomic::AtomicBool::new(json));
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let lines = Lines { host, json: Arc::clone(&json) };
        let sink = Arc::clone(&file);
        let output = tracing_subscriber::fmt::layer()
            .event_format(lines)
            .with_writer(move || Both { file: Arc::clone(&sink) });
        tracing_subscriber::registry().with(output.with_filter(filter)).try_init()?;
        Ok(Self { level, file, json })
    }

    /// Takes over level, file and form from the configuration; a level asked for on the command line stays.
    pub fn follow(
        &self,
        level: Option<LevelFilter>,
        file: Option<&Path>,
        json: bool,
    ) -> Result<()> {
        if json {
            self.json.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        if let Some(path) = file {
            let open = OpenOptions::new().append(true).create(true).mode(0o664).open(path);
            let opened = open.with_context(|| format!("create log file {}", path.display()))?;
            // Set once per process; a second configuration is never read.
            let _already = self.file.set(opened);
        }
        if let Some(level) = level {
            self.level.modify(|current| *current = ours_at(level))?;
        }
        Ok(())
    }
}

/// Takes every message that is not answered for an error, several times a second; what matters of it is in lines of our own.
const REPLICATION_LIBRARY: &str = "openraft";

/// The level is of our own rooms; the libraries beneath speak up only when something is wrong.
fn ours_at(level: LevelFilter) -> Targets {
    let library = if level >= LevelFilter::DEBUG { LevelFilter::WARN } else { LevelFilter::OFF };
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target(REPLICATION_LIBRARY, library)
        .with_target("daos", level)
}

/// Writes each line to standard output and, where there is one, to the log file.
struct Both {
    file: Arc<std::sync::OnceLock<File>>,
}

impl io::Write for Both {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(mut file) = self.file.get() {
            file.write_all(line)?;
        }
        io::stdout().write_all(line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

struct Lines {
    host: String,
    json: Arc<std::sync::atomic::AtomicBool>,
}

impl<S, N> FormatEvent<S, N> for Lines
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
        let mut text = Text::default();
        event.record(&mut text);
        let metadata = event.metadata();
        let source = match (metadata.file(), metadata.line()) {
            (Some(file), Some(line)) => format!("{file}:{line}"),
            _ => metadata.target().to_owned(),
        };
        let now = OffsetDateTime::now_utc();
        if self.json.load(std::sync::atomic::Ordering::Relaxed) {
            let object = serde_json::json!({
                "level": metadata.level().as_str(),
                "time": now.format(JSON_TIME).map_err(|_| fmt::Error)?,
                "extra": self.host,
                "source": source,
                "message": text.0,
            });
            return writeln!(writer, "{object}");
        }
        let time = now.format(PLAIN_TIME).map_err(|_| fmt::Error)?;
        let level =
            if *metadata.level() == Level::WARN { "NOTICE" } else { metadata.level().as_str() };
        write!(writer, "{} {level} {time} ", self.host)?;
        if *metadata.level() >= Level::DEBUG {
            write!(writer, "{source}: ")?;
        }
        // One event is one line, whatever an engine or a tool printed.
        writeln!(writer, "{}", text.0.trim_end().replace('\n', "\\n"))
    }
}

/// The message of an event, followed by its other fields.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        use fmt::Write;
        // Writing to a String does not fail.
        let _infallible = if field.name() == "message" {
            let rest = std::mem::take(&mut self.0);
            write!(self.0, "{value:?}{rest}")
        } else {
            write!(self.0, " {}={value:?}", field.name())
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.0.insert_str(0, value);
        } else {
            self.0.push_str(&format!(" {}={value}", field.name()));
        }
    }
}
