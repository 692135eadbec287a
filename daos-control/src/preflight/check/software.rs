//! Kernel modules and programs that the configured storage needs (R109, R113, R151).

use super::super::facts::{Facts, LIBIPMCTL, ModuleState, ToolFacts};
use super::super::rules::Rule;
use super::{Findings, Problem};
use crate::config::{BdevMedia, EngineConfig, ScmTier};
use crate::fault::code;

/// What class dcpm needs.
const DCPM_MODULES: [&str; 2] = ["nd_pmem", "ext4"];

fn is_dcpm(engine: &EngineConfig) -> bool {
    matches!(engine.scm, ScmTier::Dcpm { .. })
}

fn has_block_devices(engine: &EngineConfig) -> bool {
    let blocks =
        |media: &BdevMedia| matches!(media, BdevMedia::Nvme { .. } | BdevMedia::Kdev { .. });
    is_dcpm(engine) || engine.bdevs.iter().any(|tier| blocks(&tier.media))
}

/// The driver of persistent memory and the file system on it. Both are loaded when they are needed.
pub(super) fn modules(findings: &mut Findings<'_>, facts: &Facts) {
    let Some(asked) = findings.asked() else { return };
    let Some(engine) = asked.config.engines.iter().find(|engine| is_dcpm(engine)) else { return };
    let modules = &facts.host.modules;
    for name in DCPM_MODULES {
        let source = format!("/sys/module/{name}, /lib/modules/{}", modules.release);
        if modules.state(name) != ModuleState::Missing {
            let state = format!("{:?}", modules.state(name)).to_lowercase();
            findings.passed(Rule::KernelModules, name, "there", &source, state);
            continue;
        }
        let fix = format!(
            "install the package with the modules of kernel {}, e.g. linux-modules-extra or kernel-modules-extra",
            modules.release
        );
        findings.require(
            Problem::new(
                Rule::KernelModules,
                code::HOST_KERNEL_MODULE,
                format!("the kernel has no module {name}"),
                fix,
            )
            .about(name)
            .at(asked.storage_key(engine.index, "scm_class"))
            .seen(&source, "missing"),
        );
    }
}

/// The data plane itself; a start says the same.
pub(super) fn engine_program(findings: &mut Findings<'_>, facts: &Facts) {
    let source = "PATH and the directory of daos_server";
    match &facts.engine_program {
        None => {}
        Some(Ok(path)) => {
            let (name, text) = ("", "installed");
            findings.passed(Rule::EngineProgram, name, text, source, path.display());
        }
        Some(Err(fault)) => findings.require(
            Problem::new(
                Rule::EngineProgram,
                code::ENGINE_PROGRAM_MISSING,
                &fault.description,
                &fault.resolution,
            )
            .at("data_plane")
            .seen(source, "not there"),
        ),
    }
}

/// How much a program that is missing matters.
enum Need {
    /// What is configured does not work without it.
    Required,
    /// It is needed to prepare, and not to run.
    ToPrepare,
    /// Nothing that is known to be wanted needs it.
    None,
}

/// The programs and the library that the configured storage needs.
pub(super) fn tools(findings: &mut Findings<'_>, facts: &Facts) {
    let engines = findings.asked().map(|asked| &asked.config.engines);
    let any =
        |holds: fn(&EngineConfig) -> bool| engines.is_some_and(|engines| engines.iter().any(holds));
    let (dcpm, blocks) = (any(is_dcpm), any(has_block_devices));
    for tool in &facts.tools {
        let need = match tool.name {
            "blkid" if blocks => Need::Required,
            "mkfs.ext4" if dcpm => Need::Required,
            "ndctl" | LIBIPMCTL if dcpm => Need::ToPrepare,
            _ => Need::None,
        };
        one_tool(findings, tool, &need);
    }
}

fn one_tool(findings: &mut Findings<'_>, tool: &ToolFacts, need: &Need) {
    let Some((package, code)) = package(tool.name) else { return };
    let name = tool.name;
    let Some(path) = &tool.path else {
        let problem = |text: &str| {
            Problem::new(Rule::Tools, code, text, format!("install the package {package}"))
                .about(name)
                .seen("PATH and the system's directories", "not there")
        };
        match need {
            Need::Required => findings.require(problem("is not installed")),
            Need::ToPrepare if name == LIBIPMCTL => findings.notice(problem(
                "is not installed; Intel's modules are neither shown nor prepared without it",
            )),
            Need::ToPrepare => findings
                .warn(problem("is not installed; persistent memory cannot be prepared without it")),
            Need::None if findings.asked().is_none() => {
                findings.notice(problem("is not installed"));
            }
            Need::None => {}
        }
        return;
    };
    let path = path.display().to_string();
    let version = tool.version.as_deref().unwrap_or_default();
    if let Some(why) = &tool.problem {
        let problem = Problem::new(
            Rule::Tools,
            code::BAD_VERSION_SOFTWARE_DEPENDENCY,
            format!("cannot be used: {why}"),
            format!("install a later version of {package} before anything is prepared"),
        )
        .about(name)
        .seen(&format!("version of {path}"), version);
        return match need {
            Need::None => findings.warn(problem),
            _ => findings.require(problem),
        };
    }
    let seen = if version.is_empty() { "there".to_owned() } else { format!("version {version}") };
    findings.passed(Rule::Tools, name, "installed", &path, seen);
}

/// The package of a program, and the fault that says that it is missing.
fn package(tool: &str) -> Option<(&'static str, i32)> {
    Some(match tool {
        "blkid" => ("util-linux", code::BLOCKDEV_TOOL_MISSING),
        "mkfs.ext4" => ("e2fsprogs", code::HOST_TOOL),
        "ndctl" => ("ndctl", code::MISSING_SOFTWARE_DEPENDENCY),
        LIBIPMCTL => ("libipmctl", code::MISSING_SOFTWARE_DEPENDENCY),
        _ => return None,
    })
}
