//! What a command came to, and how that reaches the caller: results on standard output, everything else on standard
//! error, exit status 0 or 1 (contract 8.3, W33).

use std::io::Write;
use std::process::ExitCode;

use clap::error::ErrorKind;
use daos_control::Fault;
use daos_control::client::ClientError;

use crate::json::{self, Response};

/// Status in the envelope when the cause has none of its own: `DER_MISC`.
const MISC_STATUS: i32 = -1025;

/// What a command came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Text for standard output.
    pub stdout: String,
    /// Text for standard error: what belongs to no result.
    pub stderr: String,
    /// Value of `response` in the envelope.
    pub response: Response,
    /// Why the exit status is 1.
    pub failure: Option<Failure>,
}

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    text: String,
    fault: Option<Box<Fault>>,
    status: i32,
    /// Usage errors are shown as they are, without the command's name.
    usage: bool,
}

impl Failure {
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), fault: None, status: MISC_STATUS, usage: false }
    }

    /// Arguments that cannot be.
    pub fn usage(refused: &clap::Error) -> Self {
        let text = refused.to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
        let text = match refused.kind() {
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                format!("a command is missing\n\n{text}")
            }
            _ => text.to_owned(),
        };
        Self { usage: true, ..Self::text(text) }
    }

    /// A loss that nobody agreed to.
    pub fn not_confirmed(text: &str) -> Self {
        let remedy = "type yes when asked, or give --yes";
        let fault = Fault::new("client", ClientError::NotConfirmed.code(), text, remedy);
        Self::text(text).with_remedy_of(Some(fault))
    }

    /// Prints the remedy of a fault with it.
    pub fn with_remedy_of(mut self, fault: Option<Fault>) -> Self {
        self.fault = fault.map(Box::new);
        self
    }

    /// A typed fault that is the whole reason.
    pub fn fault(fault: Fault) -> Self {
        Self::text(fault.to_string()).with_remedy_of(Some(fault))
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let status = error.status().map_or(MISC_STATUS, |status| status.value());
        Self { status, ..Self::text(chain(&error)) }.with_remedy_of(error.fault())
    }
}

/// The error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let more = next.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = next.source();
    }
    text
}

impl Outcome {
    pub fn text(stdout: impl Into<String>) -> Self {
        Self { stdout: stdout.into(), ..Self::default() }
    }

    pub fn failed(failure: impl Into<Failure>) -> Self {
        Self { failure: Some(failure.into()), ..Self::default() }
    }

    /// Says in a failure which command it was.
    pub fn in_context(mut self, command: &str) -> Self {
        if let Some(failure) = self.failure.as_mut().filter(|failure| !failure.usage) {
            failure.text = format!("{command} failed: {}", failure.text);
        }
        self
    }

    /// All of it as one piece, for output that goes on: text with what failed below it, or one line of JSON.
    pub fn to_text(&self, as_json: bool) -> String {
        match as_json {
            true => json::envelope_line(&self.response, self.error_text(), self.status()),
            false => {
                let failed = self.error_text().map(|text| format!("dmg: {text}\n"));
                format!("{}{}{}", self.stdout, self.stderr, failed.unwrap_or_default())
            }
        }
    }

    /// Writes everything and gives the exit status. A reader that went away is no failure of ours.
    pub fn emit(self, as_json: bool) -> ExitCode {
        let result = match as_json {
            true => json::envelope(&self.response, self.error_text(), self.status()),
            false => self.stdout.clone(),
        };
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(result.as_bytes()).and_then(|()| stdout.flush());
        let mut stderr = std::io::stderr().lock();
        let _ = stderr.write_all(self.stderr.as_bytes());
        if let Err(lost) = written.as_ref()
            && lost.kind() != std::io::ErrorKind::BrokenPipe
        {
            let _ = writeln!(stderr, "dmg: the result cannot be written: {lost}");
            return ExitCode::FAILURE;
        }
        let Some(failure) = self.failure else {
            return ExitCode::SUCCESS;
        };
        let _ = writeln!(stderr, "dmg: {}", failure.text);
        if let Some(fault) = failure.fault.filter(|fault| fault.has_resolution()) {
            let _ = writeln!(stderr, "dmg: {}", fault.resolution_line());
        }
        ExitCode::FAILURE
    }

    fn error_text(&self) -> Option<&str> {
        self.failure.as_ref().map(|failure| failure.text.as_str())
    }

    fn status(&self) -> i32 {
        self.failure.as_ref().map_or(0, |failure| failure.status)
    }
}
