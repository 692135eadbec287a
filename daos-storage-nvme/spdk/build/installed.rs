//! Finds SPDK through pkg-config, translates the header of the shim, compiles the shim, and says what to link.
//!
//! `DAOS_SPDK=types-only` translates the header and stops there: enough to check the Rust side on a machine without SPDK.

use std::env;
use std::path::{Path, PathBuf};

use pkg_config::{Config, Library};

const PACKAGES: [&str; 2] = ["spdk_nvme", "spdk_env_dpdk"];
/// What SPDK's own libraries need of the system.
const SYSTEM_LIBRARIES: &str = "spdk_syslibs";

pub fn build() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=shim");
    println!("cargo::rerun-if-env-changed=DAOS_SPDK");
    println!("cargo::rerun-if-env-changed=PKG_CONFIG_PATH");
    let types_only = env::var("DAOS_SPDK").is_ok_and(|value| value == "types-only");
    let found = if types_only { Vec::new() } else { probe()? };
    translate()?;
    if types_only {
        return Ok(());
    }
    let mut shim = cc::Build::new();
    shim.file("shim/shim.c").std("gnu11").warnings(true);
    for library in &found {
        shim.includes(&library.include_paths);
    }
    shim.try_compile("daos_spdk_shim")?;
    found.iter().for_each(link);
    Ok(())
}

/// The libraries, or one line that says what is missing.
fn probe() -> Result<Vec<Library>, String> {
    let mut found = Vec::new();
    for name in PACKAGES.into_iter().chain([SYSTEM_LIBRARIES]) {
        let probed = Config::new().statik(true).cargo_metadata(false).probe(name);
        found.push(probed.map_err(|_| {
            let line = format!(
                "feature `spdk` needs an installed SPDK, and pkg-config does not know `{name}`: install SPDK with its static \
                 libraries and set PKG_CONFIG_PATH to its lib/pkgconfig, or build without the feature"
            );
            println!("cargo::error={line}");
            line
        })?);
    }
    Ok(found)
}

fn translate() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?).join("shim.rs");
    bindgen::Builder::default()
        .header("shim/shim.h")
        .allowlist_item("daos_spdk_.*")
        .allowlist_item("DAOS_SPDK_.*")
        .layout_tests(false)
        .derive_default(false)
        .generate()?
        .write_to_file(out)?;
    Ok(())
}

/// SPDK and DPDK register their parts in constructors, which only a whole archive keeps.
fn link(library: &Library) {
    for path in &library.link_paths {
        println!("cargo::rustc-link-search=native={}", path.display());
    }
    for name in &library.libs {
        let name = name.trim_start_matches(":lib").trim_end_matches(".a");
        let archive = |path: &PathBuf| Path::new(path).join(format!("lib{name}.a")).exists();
        let ours =
            name.starts_with("spdk_") || name.starts_with("rte_") || name.starts_with("isal");
        let kind = match ours && library.link_paths.iter().any(archive) {
            true => "static:+whole-archive",
            false => "dylib",
        };
        println!("cargo::rustc-link-lib={kind}={name}");
    }
}
