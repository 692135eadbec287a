//! The one place where the storage crates run a program of the system from a thread that may block: out of fixed directories, with
//! an empty environment, for a limited time.
//!
//! Called by `content` and by the storage crates. Knows no program.

use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use crate::wait_until;

/// The system's own directories. Whoever chooses `PATH` chooses no program that runs as root.
const DIRECTORIES: [&str; 5] =
    ["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/run/current-system/sw/bin"];
/// At most this much of what a program says is kept.
const KEPT: u64 = 1 << 20;
/// How long a program that was killed may take to be gone. One that hangs inside the kernel is left to it.
const DIES: Duration = Duration::from_secs(2);

/// Finds a program of the system.
///
/// # Errors
/// `NotFound` naming it and the directories.
pub fn find_program(name: &str) -> io::Result<PathBuf> {
    let places = DIRECTORIES.iter().map(|directory| Path::new(directory).join(name));
    places.into_iter().find(|place| place.is_file()).ok_or_else(|| {
        let text = format!("there is no {name} in {}", DIRECTORIES.join(", "));
        io::Error::new(io::ErrorKind::NotFound, text)
    })
}

/// Runs a program to its end and gives what it said; its own failure is in the status.
///
/// # Errors
/// It cannot be started; [`io::ErrorKind::TimedOut`] when it did not end in time, and was killed with all that it had started.
pub fn run_program(
    program: &Path,
    arguments: &[&str],
    input: Stdio,
    limit: Duration,
) -> io::Result<Output> {
    let deadline = Instant::now() + limit;
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("LC_ALL", "C")
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let (stdout, stderr) = (gather(child.stdout.take()), gather(child.stderr.take()));
    let left = || deadline.saturating_duration_since(Instant::now());
    let mut ended = || {
        let stdout = stdout.recv_timeout(left()).ok()?;
        let stderr = stderr.recv_timeout(left()).ok()?;
        let status = wait_until(left(), || child.try_wait().transpose())?;
        Some(status.map(|status| Output { status, stdout, stderr }))
    };
    match ended() {
        Some(output) => output,
        None => {
            kill(&mut child);
            let text = format!("{} did not end within {} s", program.display(), limit.as_secs());
            Err(io::Error::new(io::ErrorKind::TimedOut, text))
        }
    }
}

/// Reads to the end beside the program, so that neither waits for the other.
fn gather(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sent, said) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What cannot be read any more was not said.
            let _ = pipe.by_ref().take(KEPT).read_to_end(&mut bytes);
            let _ = io::copy(&mut pipe, &mut io::sink());
        }
        let _ = sent.send(bytes);
    });
    said
}

fn kill(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    wait_until(DIES, || child.try_wait().transpose());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> io::Result<Output> {
        run_program(&find_program("sh")?, &["-c", script], Stdio::null(), limit)
    }

    #[test]
    fn a_program_sees_no_environment_and_both_outputs_are_told_apart() {
        let said = shell("echo \"$HOME$LD_PRELOAD$LC_ALL\"; echo no >&2; exit 3", DIES).unwrap();
        assert_eq!((said.stdout.as_slice(), said.stderr.as_slice()), (&b"C\n"[..], &b"no\n"[..]));
        assert_eq!(said.status.code(), Some(3));
    }

    #[test]
    fn more_than_a_pipe_holds_is_read() {
        let limit = Duration::from_secs(60);
        let said = shell("head -c 3000000 /dev/zero; head -c 300000 /dev/zero >&2", limit).unwrap();
        assert_eq!((said.stdout.len() as u64, said.stderr.len()), (KEPT, 300_000));
    }

    #[test]
    fn a_program_that_hangs_is_killed_with_what_it_started() {
        let before = Instant::now();
        let late = shell("sleep 600 & sleep 600", Duration::from_millis(50)).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut, "{late}");
        assert!(before.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn a_program_is_looked_for_in_the_directories_of_the_system_alone() {
        let missing = find_program("no such program").unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        assert!(missing.to_string().contains("/usr/sbin"), "{missing}");
    }
}
