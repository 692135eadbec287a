//! Builds the three programs and finds them. Knows cargo; must not know what the programs do.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

/// Builds the programs with the cargo and profile of this one; the directory they lie in.
pub async fn build() -> Result<PathBuf> {
    let own = std::env::current_exe().context("finding this program")?;
    let directory = own.parent().context("this program lies in no directory")?.to_owned();
    if let Some(cargo) = std::env::var_os("CARGO") {
        println!("# Building daos_server, dmg and daos_io_server.");
        let mut build = Command::new(cargo);
        // Built together with this program, they share its libraries instead of building them again.
        build.args(["build", "--quiet"]);
        for package in ["daos-examples", "daos_server", "dmg", "daos_io_server"] {
            build.args(["-p", package]);
        }
        if directory.ends_with("release") {
            build.arg("--release");
        }
        build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).stdin(Stdio::null());
        ensure!(build.status().await.context("running cargo")?.success(), "cargo build failed");
    }
    for name in ["daos_server", "dmg", "daos_io_server"] {
        let path = directory.join(name);
        ensure!(path.is_file(), "{} is not there; build the workspace first", path.display());
    }
    Ok(directory)
}
