//! The lines a program prints, kept and waited for. Used by `host`.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// All lines so far; grows while the program runs.
#[derive(Debug)]
pub struct LogLines {
    lines: watch::Receiver<Vec<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl LogLines {
    /// Collects the lines of both streams until they end.
    pub fn collect(
        output: impl AsyncRead + Send + Unpin + 'static,
        errors: impl AsyncRead + Send + Unpin + 'static,
    ) -> Self {
        let (sender, lines) = watch::channel(Vec::new());
        let readers =
            vec![tokio::spawn(read(output, sender.clone())), tokio::spawn(read(errors, sender))];
        Self { lines, readers }
    }

    /// Everything printed so far.
    #[must_use]
    pub fn so_far(&self) -> Vec<String> {
        self.lines.borrow().clone()
    }

    /// Waits until `count` lines hold the text.
    ///
    /// # Errors
    /// When the program ends or the bound passes first; the message holds the last lines.
    pub async fn wait_for(&self, text: &str, count: usize, bound: Duration) -> io::Result<()> {
        let mut lines = self.lines.clone();
        let enough =
            |lines: &Vec<String>| lines.iter().filter(|line| line.contains(text)).count() >= count;
        let found = timeout(bound, lines.wait_for(enough)).await;
        match found {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_ended)) => Err(self.missing(text, "the program ended")),
            Err(_elapsed) => Err(self.missing(text, "it did not come in time")),
        }
    }

    /// Waits for the end of the program's output.
    pub async fn end(&mut self) {
        for reader in self.readers.drain(..) {
            // A reader ends with its stream and has no result.
            let _ended = reader.await;
        }
    }

    fn missing(&self, text: &str, why: &str) -> io::Error {
        let lines = self.so_far();
        let last = lines[lines.len().saturating_sub(25)..].join("\n");
        io::Error::other(format!("waited for a line with '{text}': {why}; the last lines:\n{last}"))
    }
}

async fn read(stream: impl AsyncRead + Unpin, lines: watch::Sender<Vec<String>>) {
    let mut reader = BufReader::new(stream).lines();
    while let Ok(Some(line)) = reader.next_line().await {
        lines.send_modify(|all| all.push(line));
    }
}
