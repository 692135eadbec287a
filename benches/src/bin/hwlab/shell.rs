//! Commands inside a guest, over a serial line: one line in, one line out, text in base64.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub status: i32,
    pub output: String,
}

/// The shell of one guest.
#[derive(Debug)]
pub struct Shell {
    line: BufReader<UnixStream>,
    next: u32,
}

impl Shell {
    /// Connects and waits until the guest is up.
    pub fn connect(socket: &Path, patience: Duration) -> Result<Self> {
        let deadline = Instant::now() + patience;
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() >= deadline => {
                    return Err(error).context("connecting to the guest");
                }
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        stream.set_read_timeout(Some(patience))?;
        let mut shell = Self { line: BufReader::new(stream), next: 0 };
        while shell.read()? != "ready" {}
        Ok(shell)
    }

    /// Runs a script; its status is the caller's to judge.
    pub fn try_run(&mut self, script: &str) -> Result<Ran> {
        self.next += 1;
        let (id, code) = (self.next, base64(&["-w0"], script.as_bytes())?);
        writeln!(self.line.get_mut(), "{id} {code}")?;
        loop {
            let answer = self.read().with_context(|| format!("running in the guest: {script}"))?;
            let mut words = answer.split(' ');
            if words.next() != Some("done") || words.next() != Some(&id.to_string()) {
                continue;
            }
            let status = words.next().and_then(|word| word.parse().ok()).context("a status")?;
            let output = base64(&["-d"], words.next().unwrap_or_default().as_bytes())?;
            return Ok(Ran { status, output });
        }
    }

    /// Runs a script that has to succeed, and gives what it printed.
    pub fn run(&mut self, script: &str) -> Result<String> {
        let ran = self.try_run(script)?;
        ensure!(ran.status == 0, "status {} of: {script}\n{}", ran.status, ran.output);
        Ok(ran.output)
    }

    /// Runs a script that has to fail with a text in what it prints.
    pub fn refused(&mut self, script: &str, text: &str) -> Result<String> {
        let ran = self.try_run(script)?;
        ensure!(ran.status != 0, "should have been refused: {script}\n{}", ran.output);
        ensure!(
            ran.output.contains(text),
            "refused without saying '{text}': {script}\n{}",
            ran.output
        );
        Ok(ran.output)
    }

    /// Asks until a script succeeds.
    pub fn wait(&mut self, script: &str, patience: Duration) -> Result<String> {
        let deadline = Instant::now() + patience;
        loop {
            let ran = self.try_run(script)?;
            if ran.status == 0 {
                return Ok(ran.output);
            }
            if Instant::now() >= deadline {
                bail!("not within {patience:?}: {script}\n{}", ran.output);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn read(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.line.read_line(&mut line).context("waiting for the guest")? == 0 {
            bail!("the guest is gone");
        }
        Ok(line.trim_end().to_owned())
    }
}

fn base64(arguments: &[&str], input: &[u8]) -> Result<String> {
    let mut child = Command::new("base64")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("base64")?;
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output()?;
    writer.join().map_err(|_| anyhow::anyhow!("base64"))??;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
