//! Output of commands that go on: written as it comes, and the end of the command when nobody reads any more.

use std::io::{ErrorKind, IsTerminal, Write};

use crate::outcome::Failure;

/// Clears a terminal and goes to its upper left corner.
const CLEAR: &str = "\u{1b}[2J\u{1b}[H";

/// Whether anybody still reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    There,
    Gone,
}

/// Writes a piece of output.
pub fn write(text: &str) -> Result<Reader, Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(Reader::There),
        Err(lost) if lost.kind() == ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(lost) => Err(Failure::text(format!("the result cannot be written: {lost}"))),
    }
}

/// Writes a piece of output in place of the one before, where that can be done; elsewhere after an empty line.
pub fn redraw(text: &str, first: bool) -> Result<Reader, Failure> {
    match (std::io::stdout().is_terminal(), first) {
        (true, _) => write(&format!("{CLEAR}{text}")),
        (false, true) => write(text),
        (false, false) => write(&format!("\n{text}")),
    }
}

/// A remark that belongs to no result.
pub fn remark(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
