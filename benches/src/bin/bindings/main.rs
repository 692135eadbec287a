//! Makes the checked-in bindings of C interfaces anew, or compares them: `bindings write` or `bindings check`.
//!
//! Needs libclang; nothing else of the project does. CI compares.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

/// One generated file: what it is made from, and what of it is wanted.
struct Binding {
    header: &'static str,
    output: &'static str,
    about: &'static str,
    types: &'static [&'static str],
    constants: &'static [&'static str],
}

const BINDINGS: &[Binding] = &[Binding {
    header: "daos-storage-nvme/src/linux/ffi/nvme_ioctl.h",
    output: "daos-storage-nvme/src/linux/ffi/nvme_ioctl.rs",
    about: "The kernel's NVMe ioctl interface",
    types: &["nvme_passthru_cmd"],
    constants: &["IOCTL_.*"],
}];

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let write = match std::env::args().nth(1).as_deref() {
        Some("write") => true,
        Some("check") => false,
        _ => bail!("usage: bindings write|check"),
    };
    let mut stale = Vec::new();
    for binding in BINDINGS {
        let text = generate(&root, binding)?;
        let path = root.join(binding.output);
        if write {
            std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        } else if std::fs::read_to_string(&path).unwrap_or_default() != text {
            stale.push(PathBuf::from(binding.output));
        }
    }
    if stale.is_empty() {
        Ok(())
    } else {
        bail!("not what bindgen makes: {stale:?}; run 'bindings write'")
    }
}

fn generate(root: &Path, binding: &Binding) -> Result<String> {
    let header = root.join(binding.header);
    let target =
        bindgen::RustTarget::stable(85, 0).map_err(|_| anyhow!("bindgen knows no Rust 1.85"))?;
    let mut builder = bindgen::Builder::default()
        .rust_target(target)
        .header(header.display().to_string())
        .rust_edition(bindgen::RustEdition::Edition2024)
        .wrap_unsafe_ops(true)
        .generate_comments(false)
        .layout_tests(true)
        .derive_default(true)
        .use_core()
        .formatter(bindgen::Formatter::Rustfmt)
        .disable_header_comment()
        .raw_line(format!(
            "// {}. Made by `cargo run -p daos-benches --features bindings --bin bindings write`.",
            binding.about
        ));
    for name in binding.types {
        builder = builder.allowlist_type(name);
    }
    for name in binding.constants {
        builder = builder.allowlist_var(name);
    }
    Ok(builder.generate().with_context(|| header.display().to_string())?.to_string())
}
