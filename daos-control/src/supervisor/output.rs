//! What engines print goes to the log, line by line (R14, contract 4.4).
//!
//! Lines are bounded and the pipe is always read, so that an engine can neither flood memory nor block on its output.

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, BufReader};

/// Longest piece of a line that is logged as one.
const MAX_LINE_BYTES: usize = 4096;

/// Where a line came from, which decides its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// INFO.
    Stdout,
    /// ERROR.
    Stderr,
}

/// Relays until the pipe ends. `prefix` is `<program>:<index>`.
pub(super) async fn relay(pipe: impl AsyncRead + Unpin, source: Source, prefix: String) {
    let mut lines = Lines { pipe: BufReader::new(pipe), line: Vec::new(), continued: false };
    while let Some(line) = lines.next().await {
        match source {
            Source::Stdout => tracing::info!("{prefix} {line}"),
            Source::Stderr => tracing::error!("{prefix} {line}"),
        }
    }
}

struct Lines<R> {
    pipe: R,
    line: Vec<u8>,
    /// The last piece filled up and its line went on.
    continued: bool,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    /// The next line without its end; a longer one comes in pieces. `None` at the end of the pipe.
    async fn next(&mut self) -> Option<String> {
        loop {
            let chunk = match self.pipe.fill_buf().await {
                Ok(chunk) => chunk,
                Err(error) => {
                    tracing::warn!(%error, "lost the output of an engine");
                    return None;
                }
            };
            if chunk.is_empty() {
                return (!self.line.is_empty()).then(|| self.take());
            }
            let room = MAX_LINE_BYTES - self.line.len();
            let end = chunk.iter().take(room).position(|&byte| byte == b'\n');
            let taken = end.unwrap_or(room.min(chunk.len()));
            self.line.extend_from_slice(&chunk[..taken]);
            self.pipe.consume(taken + usize::from(end.is_some()));
            let full = self.line.len() == MAX_LINE_BYTES;
            let rest_of_nothing = self.continued && end.is_some() && self.line.is_empty();
            self.continued = full && end.is_none();
            if (end.is_some() || full) && !rest_of_nothing {
                return Some(self.take());
            }
        }
    }

    fn take(&mut self) -> String {
        let line = String::from_utf8_lossy(&self.line).trim_end_matches('\r').to_owned();
        self.line.clear();
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(bytes: &[u8]) -> Vec<String> {
        let mut lines =
            Lines { pipe: BufReader::with_capacity(16, bytes), line: Vec::new(), continued: false };
        let mut all = Vec::new();
        while let Some(line) = lines.next().await {
            all.push(line);
        }
        all
    }

    #[tokio::test]
    async fn lines_are_cut_at_their_ends() {
        assert_eq!(lines(b"one\r\n\ntwo and a half").await, ["one", "", "two and a half"]);
        assert!(lines(b"").await.is_empty());
    }

    #[tokio::test]
    async fn endless_lines_come_in_pieces() {
        let long = vec![b'x'; MAX_LINE_BYTES * 2 + 5];
        let pieces = lines(&long).await;
        let lengths: Vec<usize> = pieces.iter().map(String::len).collect();
        assert_eq!(lengths, [MAX_LINE_BYTES, MAX_LINE_BYTES, 5]);
        let just_full = [&long[..MAX_LINE_BYTES], b"\n\nend"].concat();
        let lengths: Vec<usize> = lines(&just_full).await.iter().map(String::len).collect();
        assert_eq!(lengths, [MAX_LINE_BYTES, 0, 3]);
    }

    #[tokio::test]
    async fn bytes_that_are_no_text_are_shown_as_such() {
        assert_eq!(lines(b"\xff\n").await, ["\u{fffd}"]);
    }
}
