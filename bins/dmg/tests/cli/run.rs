//! Running the real program, and comparing what it prints with a file.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};

/// A run of dmg in insecure mode against `port`, without any configuration of the machine.
pub struct Dmg {
    command: Command,
    words: Vec<String>,
    hide: Vec<(String, &'static str)>,
    _home: tempfile::TempDir,
}

impl Dmg {
    /// `line` is what an administrator types after `dmg`.
    pub fn new(port: u16, line: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let config = home.path().join("daos_control.yml");
        let text = format!(
            "port: {port}\nhostlist: ['127.0.0.2']\ntransport_config: {{allow_insecure: true}}\n"
        );
        std::fs::write(&config, text).unwrap();
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let mut dmg = Self::bare(home, words);
        dmg.command.arg("-o").arg(&config);
        dmg.hide.push((format!(":{port}"), ":PORT"));
        dmg.hide.push((format!("port: {port}"), "port: PORT"));
        dmg
    }

    /// A run without a configuration file.
    pub fn without_config(line: &str) -> Self {
        let words = line.split_whitespace().map(str::to_owned).collect();
        Self::bare(tempfile::tempdir().unwrap(), words)
    }

    fn bare(home: tempfile::TempDir, words: Vec<String>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dmg"));
        command.args(&words).env_clear().env("HOME", home.path()).stdin(Stdio::null());
        let hide = vec![(home.path().display().to_string(), "HOME")];
        Self { command, words, hide, _home: home }
    }

    pub fn home(&self) -> &Path {
        self._home.path()
    }

    pub fn arg(mut self, argument: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.command.stdin(stdin);
        self
    }

    pub fn command(&mut self) -> &mut Command {
        &mut self.command
    }

    /// Starts a command that goes on. Whoever holds it reads its lines; dropped, it ends.
    pub fn start(mut self) -> Going {
        let mut child = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let errors = BufReader::new(child.stderr.take().unwrap());
        Going { child, lines, errors, hide: self.hide, _home: self._home }
    }

    pub fn run(mut self) -> Run {
        let output = self.command.output().unwrap();
        Run { output, words: self.words, hide: self.hide }
    }
}

/// A command that goes on.
pub struct Going {
    child: Child,
    lines: BufReader<ChildStdout>,
    errors: BufReader<ChildStderr>,
    hide: Vec<(String, &'static str)>,
    _home: tempfile::TempDir,
}

impl Going {
    /// The next line of standard output, with its end.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        self.hidden(line)
    }

    /// The next line of standard error.
    pub fn error(&mut self) -> String {
        let mut line = String::new();
        self.errors.read_line(&mut line).unwrap();
        self.hidden(line)
    }

    fn hidden(&self, text: String) -> String {
        self.hide.iter().fold(text, |text, (from, to)| text.replace(from, to))
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a run left behind.
pub struct Run {
    output: Output,
    words: Vec<String>,
    hide: Vec<(String, &'static str)>,
}

impl Run {
    pub fn status(&self) -> i32 {
        self.output.status.code().expect("ended by itself")
    }

    pub fn stdout(&self) -> String {
        self.hidden(&self.output.stdout)
    }

    pub fn stderr(&self) -> String {
        self.hidden(&self.output.stderr)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.output.stdout).expect("standard output is one JSON value")
    }

    fn hidden(&self, bytes: &[u8]) -> String {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        self.hide.iter().fold(text, |text, (from, to)| text.replace(from, to))
    }

    /// Compares with `tests/output/<name>.txt`; `UPDATE_OUTPUT=1` writes it anew.
    #[track_caller]
    pub fn is(self, name: &str) {
        let text = format!(
            "$ dmg {}\n=== exit {}\n=== stdout\n{}=== stderr\n{}",
            self.words.join(" "),
            self.status(),
            self.stdout(),
            self.stderr()
        );
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/output").join(format!("{name}.txt"));
        if std::env::var_os("UPDATE_OUTPUT").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let wanted = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            text == wanted,
            "{} is not what was printed:\n{text}\n--- wanted\n{wanted}",
            path.display()
        );
    }
}
