//! Where a command without a server keeps and finds what prepare changed: where the server of this host does. Used by the commands
//! that look at storage or make it ready.
//!
//! `storage prepare` may be allowed to users through sudo, who choose its options. So root follows only a file that nobody else may
//! change, into a directory that nobody else may change (a record says which files are given to whom), and shows nothing of the file.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use daos_control::Fault;
use daos_control::config::{ConfigError, Surroundings, resolve_path, state_dir_of};
use daos_control::server::RECORD_FILE;

use crate::cli::Global;

/// The state directory, and who named it.
#[derive(Debug)]
pub struct Place {
    /// The directory.
    pub state_dir: PathBuf,
    /// The configuration file that names it; `None` for the default.
    pub named_by: Option<PathBuf>,
    /// Why it is not the one that a file names.
    pub notice: Option<String>,
}

impl Place {
    /// That of the configuration of `-o`, else of the default file, else the default directory.
    ///
    /// # Errors
    /// A file that was named and is not there, or one that cannot be read as a configuration.
    pub fn of(global: &Global) -> Result<Self> {
        let surroundings = Surroundings::of_this_process().context("looking at this process")?;
        let given = global.config.as_deref();
        match resolve_path(given, &surroundings) {
            Ok(file) => Self::of_file(&file, &surroundings, rustix::process::geteuid().is_root()),
            Err(ConfigError::NotFound { .. }) if given.is_none() => {
                Ok(Self::default_of(&surroundings, None))
            }
            Err(error) => Err(Fault::from(&error).into()),
        }
    }

    /// The same for commands that only look, which do without a default file that cannot be read.
    ///
    /// # Errors
    /// As [`Place::of`], for a file that was named.
    pub fn to_look_at(global: &Global) -> Result<Self> {
        match Self::of(global) {
            Err(error) if global.config.is_none() => {
                let surroundings =
                    Surroundings::of_this_process().context("looking at this process")?;
                Ok(Self::default_of(&surroundings, Some(error.to_string())))
            }
            other => other,
        }
    }

    fn default_of(surroundings: &Surroundings, notice: Option<String>) -> Self {
        Self { state_dir: surroundings.default_state_dir.clone(), named_by: None, notice }
    }

    fn of_file(file: &Path, surroundings: &Surroundings, root: bool) -> Result<Self> {
        let not_followed = |why: String| Self::default_of(surroundings, Some(why));
        if root && others_may_change(file) {
            let why = format!(
                "{} can be changed by others than root: the state_dir in it is not followed",
                file.display()
            );
            return Ok(not_followed(why));
        }
        let Ok(state_dir) = state_dir_of(file, surroundings) else {
            let file = file.display();
            bail!(
                "{file} cannot be read as a configuration: see 'daos_server config check -o {file}'"
            );
        };
        if root && state_dir != surroundings.default_state_dir && others_may_change(&state_dir) {
            let why = format!(
                "{} can be changed by others than root: the record is kept in {}",
                state_dir.display(),
                surroundings.default_state_dir.display()
            );
            return Ok(not_followed(why));
        }
        Ok(Self { state_dir, named_by: Some(file.to_owned()), notice: None })
    }

    /// The record of what prepare changed.
    pub fn record(&self) -> PathBuf {
        self.state_dir.join(RECORD_FILE)
    }
}

/// Whether somebody else than root may change it, or put another in its place. What is not there yet, nobody can have changed.
fn others_may_change(path: &Path) -> bool {
    const BY_OTHERS: u32 = 0o022;
    // In a directory like /tmp nobody may replace what is another's.
    const STICKY: u32 = 0o1000;
    let Ok(real) = path.canonicalize() else {
        return path.parent().is_some_and(|parent| parent != path && others_may_change(parent));
    };
    let changeable = |at: &Path| {
        std::fs::metadata(at).map_or(true, |meta| {
            let open = meta.mode() & BY_OTHERS != 0 && !(at != real && meta.mode() & STICKY != 0);
            meta.uid() != 0 || open
        })
    };
    real.ancestors().any(changeable)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const BOB: u32 = 1000;

    fn surroundings(at: &Path) -> Surroundings {
        Surroundings {
            current_dir: at.to_owned(),
            executable: at.join("bin/daos_server"),
            default_state_dir: at.join("default"),
        }
    }

    /// A file that names a state directory below `at`.
    fn file(at: &Path) -> PathBuf {
        let file = at.join("server.yml");
        let text = format!("state_dir: {}\nengines: []\n", at.join("state").display());
        fs::write(&file, text).unwrap();
        file
    }

    #[test]
    fn the_file_says_where_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let file = file(at);
        let place = Place::of_file(&file, &surroundings(at), false).unwrap();
        assert_eq!((place.state_dir, place.named_by), (at.join("state"), Some(file.clone())));
        fs::write(&file, "engines: []\n").unwrap();
        let place = Place::of_file(&file, &surroundings(at), false).unwrap();
        assert_eq!(place.record(), at.join("default/nvme_prepared.json"));
        fs::write(&file, "root:$6$secret: [\n").unwrap();
        let refused = Place::of_file(&file, &surroundings(at), false).unwrap_err().to_string();
        assert!(refused.contains("config check") && !refused.contains("secret"), "{refused}");
    }

    #[test]
    fn root_follows_nothing_that_a_user_may_change() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("root_follows_nothing_that_a_user_may_change: skipped: needs root");
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let file = file(at);
        fs::create_dir(at.join("state")).unwrap();
        let followed = || Place::of_file(&file, &surroundings(at), true).unwrap().notice.is_none();
        assert!(followed());
        let own = |path: &Path, user| std::os::unix::fs::chown(path, Some(user), None).unwrap();
        for path in [file.clone(), at.join("state"), at.to_owned()] {
            own(&path, BOB);
            assert!(!followed(), "{}", path.display());
            own(&path, 0);
            assert!(followed(), "{}", path.display());
        }
        fs::set_permissions(at.join("state"), Permissions::from_mode(0o777)).unwrap();
        let place = Place::of_file(&file, &surroundings(at), true).unwrap();
        assert_eq!(place.state_dir, at.join("default"));
        assert!(place.notice.unwrap().contains("others than root"));
    }
}
