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
    functions: &'static [&'static str],
    /// Types that are nothing but a number to us, and the number.
    numbers: &'static [(&'static str, &'static str)],
    /// The functions come from a library that is loaded at run time, as fields of a type of this name.
    loaded: Option<&'static str>,
}

const BINDINGS: &[Binding] = &[
    Binding {
        header: "daos-storage-nvme/src/linux/ffi/nvme_ioctl.h",
        output: "daos-storage-nvme/src/linux/ffi/nvme_ioctl_generated.rs",
        about: "The kernel's NVMe ioctl interface",
        types: &["nvme_passthru_cmd"],
        constants: &["IOCTL_.*"],
        functions: &[],
        numbers: &[],
        loaded: None,
    },
    Binding {
        header: "daos-storage-nvme/src/linux/ffi/vfio.h",
        output: "daos-storage-nvme/src/linux/ffi/vfio_generated.rs",
        about: "The kernel's VFIO interface",
        types: &["vfio_group_status"],
        constants: &["IOCTL_.*", "GROUP_.*"],
        functions: &[],
        numbers: &[],
        loaded: None,
    },
    Binding {
        header: "daos-storage-scm/src/linux/ffi/ipmctl.h",
        output: "daos-storage-scm/src/linux/ffi/ipmctl_generated.rs",
        about: "Intel's library for persistent memory modules",
        types: &[],
        constants: &["ANSWER_.*", "NVM_VERSION_LEN", "NVM_MAX_UID_LEN", "MAX_IS_PER_DIMM"],
        functions: &[
            "nvm_init",
            "nvm_uninit",
            "nvm_get_version",
            "nvm_get_number_of_devices",
            "nvm_get_devices",
            "nvm_get_device_status",
            "nvm_get_number_of_regions",
            "nvm_get_regions",
            "nvm_create_config_goal",
            "nvm_get_config_goal",
            "nvm_delete_config_goal",
        ],
        numbers: &[("NVM_NFIT_DEVICE_HANDLE", "u32")],
        loaded: Some("LibIpmctl"),
    },
];

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
    for (name, number) in binding.numbers {
        // With all that it is made of.
        builder = builder
            .blocklist_type(format!("{name}.*"))
            .raw_line(format!("pub type {name} = {number};"));
    }
    for name in binding.functions {
        builder = builder.allowlist_function(name);
    }
    if let Some(name) = binding.loaded {
        // A version that lacks a function is told by whoever calls it, not by refusing to load.
        builder = builder.dynamic_library_name(name).dynamic_link_require_all(false);
    }
    Ok(builder.generate().with_context(|| header.display().to_string())?.to_string())
}
