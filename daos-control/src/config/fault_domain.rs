//! Where this host stands in the tree of things that fail together: name, key or executable (contract 5.5).
//!
//! Called by the server at start. The executable is run only when nobody but its owner could have changed it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::model::FaultDomainSource;
use super::validate::DOMAIN;
use crate::fault::{Fault, code};

/// Most layers of a fault path.
const MAX_LAYERS: usize = 2;
/// Set-user-id, set-group-id, and write for group and others.
const UNSAFE_MODE: u32 = 0o6022;

/// What is wrong with a fault domain.
#[derive(Debug, thiserror::Error)]
pub enum FaultDomainError {
    /// Not `/layer` or `/layer/layer`.
    #[error("`{path}` is not a fault path")]
    Malformed {
        /// The text.
        path: String,
    },
    /// More layers than there can be.
    #[error("`{path}` has {layers} layers")]
    TooManyLayers {
        /// The text.
        path: String,
        /// How many it has.
        layers: usize,
    },
    /// The executable is missing, or cannot be looked at.
    #[error("{}: not found", program.display())]
    NotFound {
        /// The executable.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Somebody else could have changed the executable.
    #[error("{}: {why}", program.display())]
    Insecure {
        /// The executable.
        program: PathBuf,
        /// What is unsafe.
        why: &'static str,
    },
    /// Nobody may execute it.
    #[error("{}: not executable", program.display())]
    NotExecutable {
        /// The file.
        program: PathBuf,
    },
    /// It failed, or did not end in time.
    #[error("{}: {why}", program.display())]
    Failed {
        /// The executable.
        program: PathBuf,
        /// How it ended.
        why: String,
    },
    /// It printed nothing.
    #[error("{}: printed nothing", program.display())]
    Empty {
        /// The executable.
        program: PathBuf,
    },
}

impl FaultDomainError {
    /// Fault number of contract 10.2.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::Malformed { .. } => code::SERVER_CONFIG_FAULT_DOMAIN_INVALID,
            Self::TooManyLayers { .. } => code::SERVER_CONFIG_FAULT_DOMAIN_TOO_MANY_LAYERS,
            Self::NotFound { .. } => code::SERVER_CONFIG_FAULT_CALLBACK_NOT_FOUND,
            Self::Insecure { .. } => code::SERVER_CONFIG_FAULT_CALLBACK_INSECURE,
            Self::NotExecutable { .. } => code::SERVER_CONFIG_FAULT_CALLBACK_BAD_PERMS,
            Self::Failed { .. } => code::SERVER_CONFIG_FAULT_CALLBACK_FAILED,
            Self::Empty { .. } => code::SERVER_CONFIG_FAULT_CALLBACK_EMPTY,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        match self {
            Self::Malformed { .. } | Self::TooManyLayers { .. } => {
                "write one or two layers, each after a `/`, such as `/rack1/host2`"
            }
            Self::NotFound { .. } => "correct the path in `fault_cb`, or remove the key",
            Self::Insecure { .. } => {
                "keep it in the directory of the configuration, a plain file that only its owner may write"
            }
            Self::NotExecutable { .. } => "make it executable: chmod 755",
            Self::Failed { .. } | Self::Empty { .. } => {
                "let it print one fault path and end with status 0"
            }
        }
    }
}

impl From<&FaultDomainError> for Fault {
    fn from(error: &FaultDomainError) -> Self {
        Self::new(DOMAIN, error.code(), error.to_string(), error.resolution()).with_causes_of(error)
    }
}

/// Checks the text of a fault path.
///
/// # Errors
/// [`FaultDomainError::Malformed`] or [`FaultDomainError::TooManyLayers`].
pub fn check_fault_path(path: &str) -> Result<(), FaultDomainError> {
    let layers: Vec<&str> = path.strip_prefix('/').unwrap_or_default().split('/').collect();
    if layers
        .iter()
        .any(|layer| layer.is_empty() || layer.chars().any(|c| c.is_whitespace() || c.is_control()))
    {
        return Err(FaultDomainError::Malformed { path: path.to_owned() });
    }
    if layers.len() > MAX_LAYERS {
        return Err(FaultDomainError::TooManyLayers {
            path: path.to_owned(),
            layers: layers.len(),
        });
    }
    Ok(())
}

/// The fault path of this host.
///
/// `directory` is where the configuration lies and the executable must lie; `deadline` is how long it may take.
///
/// # Errors
/// [`FaultDomainError`] when the executable is unsafe, fails or prints no fault path.
pub async fn fault_path(
    source: &FaultDomainSource,
    host_name: &str,
    directory: &Path,
    deadline: Duration,
) -> Result<String, FaultDomainError> {
    let path = match source {
        FaultDomainSource::Hostname => format!("/{host_name}"),
        FaultDomainSource::Path(path) => path.clone(),
        FaultDomainSource::Callback(program) => {
            check_program(program, directory)?;
            run(program, deadline).await?
        }
    };
    check_fault_path(&path)?;
    Ok(path)
}

fn check_program(program: &Path, directory: &Path) -> Result<(), FaultDomainError> {
    let insecure = |why| Err(FaultDomainError::Insecure { program: program.to_owned(), why });
    let found = fs::symlink_metadata(program)
        .map_err(|source| FaultDomainError::NotFound { program: program.to_owned(), source })?;
    let mode = found.permissions().mode();
    if !found.is_file() {
        return insecure("it is a link, or no plain file");
    }
    if !program.starts_with(directory) {
        return insecure("it lies outside the directory of the configuration");
    }
    if mode & UNSAFE_MODE != 0 {
        return insecure("others may write it, or it runs with the rights of another user");
    }
    if mode & 0o111 == 0 {
        return Err(FaultDomainError::NotExecutable { program: program.to_owned() });
    }
    Ok(())
}

async fn run(program: &Path, deadline: Duration) -> Result<String, FaultDomainError> {
    let failed = |why: String| FaultDomainError::Failed { program: program.to_owned(), why };
    let output = Command::new(program).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(deadline, output)
        .await
        .map_err(|_| failed(format!("did not end within {} s", deadline.as_secs_f32())))?
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("{}: {}", output.status, said.trim())));
    }
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if text.is_empty() {
        return Err(FaultDomainError::Empty { program: program.to_owned() });
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use super::{FaultDomainSource, fault_path};

    const DEADLINE: Duration = Duration::from_secs(20);

    fn script(directory: &Path, body: &str, mode: u32) -> PathBuf {
        let path = directory.join("callback");
        // Written by another process: a descriptor of ours, inherited by a child of another test, would make
        // the file 'busy' when it is run.
        let written = std::process::Command::new("sh")
            .args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$2\"", "sh", body])
            .arg(&path)
            .status();
        assert!(written.unwrap().success());
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    async fn outcome(source: FaultDomainSource, directory: &Path) -> Result<String, i32> {
        fault_path(&source, "node1", directory, DEADLINE).await.map_err(|error| error.code())
    }

    #[tokio::test]
    async fn the_three_sources() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let path = |text: &str| FaultDomainSource::Path(text.to_owned());
        assert_eq!(outcome(FaultDomainSource::Hostname, at).await, Ok("/node1".to_owned()));
        assert_eq!(outcome(path("/rack1/node1"), at).await, Ok("/rack1/node1".to_owned()));
        let program = script(at, "echo /rack2/node1", 0o755);
        let printed = outcome(FaultDomainSource::Callback(program), at).await;
        assert_eq!(printed, Ok("/rack2/node1".to_owned()));
    }

    #[tokio::test]
    async fn each_fault_of_a_callback_has_its_number() {
        for (body, mode, code) in [
            ("echo /a", 0o644, 720),
            ("echo /a", 0o775, 719),
            ("echo /a", 0o4755, 719),
            ("exit 3", 0o755, 721),
            ("true", 0o755, 723),
            ("echo nonsense", 0o755, 717),
            ("echo /a/b/c", 0o755, 724),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let program = script(directory.path(), body, mode);
            let found = outcome(FaultDomainSource::Callback(program), directory.path()).await;
            assert_eq!(found, Err(code), "{body} {mode:o}");
        }
    }

    #[tokio::test]
    async fn links_strangers_and_absent_programs_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let program = script(elsewhere.path(), "echo /a", 0o755);
        let at = directory.path();
        let callback = FaultDomainSource::Callback;
        assert_eq!(outcome(callback(program.clone()), at).await, Err(719));
        let link = at.join("link");
        symlink(&program, &link).unwrap();
        assert_eq!(outcome(callback(link), at).await, Err(719));
        assert_eq!(outcome(callback(at.join("nothing")), at).await, Err(718));
    }

    #[tokio::test]
    async fn a_callback_that_does_not_end_is_killed() {
        let directory = tempfile::tempdir().unwrap();
        let program = script(directory.path(), "exec sleep 1000", 0o755);
        let source = FaultDomainSource::Callback(program);
        let deadline = Duration::from_millis(50);
        let error = fault_path(&source, "node1", directory.path(), deadline).await.unwrap_err();
        assert_eq!(error.code(), 721);
        assert!(error.to_string().contains("did not end"), "{error}");
    }
}
