//! QEMU's control socket: events while a guest runs, such as a pulled cable or a warning of a drive.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// A connection to one QEMU.
#[derive(Debug)]
pub struct Qmp {
    stream: BufReader<UnixStream>,
}

impl Qmp {
    pub fn connect(socket: &Path, patience: Duration) -> Result<Self> {
        let stream = UnixStream::connect(socket).context("connecting to QEMU")?;
        stream.set_read_timeout(Some(patience))?;
        let mut qmp = Self { stream: BufReader::new(stream) };
        qmp.read().context("reading QEMU's greeting")?;
        qmp.run("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Runs a command and gives its answer.
    pub fn run(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let line = json!({"execute": command, "arguments": arguments}).to_string();
        writeln!(self.stream.get_mut(), "{line}")?;
        loop {
            let mut answer = self.read()?;
            if let Some(error) = answer.get("error") {
                bail!("{command}: {error}");
            }
            if let Some(done) = answer.get_mut("return") {
                return Ok(done.take());
            }
        }
    }

    /// Waits for an event of a device.
    pub fn wait_for(&mut self, event: &str, device: &str) -> Result<()> {
        loop {
            let seen = self.read()?;
            if seen["event"] == event && seen["data"]["device"] == device {
                return Ok(());
            }
        }
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).context("waiting for QEMU")? == 0 {
            bail!("QEMU closed its control socket");
        }
        serde_json::from_str(&line).context("QEMU's answer")
    }
}
