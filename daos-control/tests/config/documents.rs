//! The pages below `docs/config`: every block in them is made from the configuration above it, and compared.
//!
//! A `yaml` block is a whole, valid configuration. What follows it, by the words after the fence, is what comes
//! of its first engine. `UPDATE_CONFIG_DOCS=1` writes the pages anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use daos_control::config::{CommandLine, ServerConfig, commands, parse, sizing};
use daos_control::engine_command::log_mask::LogMask;
use daos_control::engine_command::{
    EnvironmentInput, Launch, argv, binary_name, environment, placement,
};
use daos_control::format::{EngineTarget, FormatTargets};
use daos_control::start_table::ReplicaRoles;

use crate::support::{surroundings, valid, workspace};

/// Host name in generated device names.
const HOST: &str = "storage1";
const CORES: u32 = 16;

fn pages() -> BTreeMap<String, PathBuf> {
    let directory = workspace().join("docs/config");
    let entries = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .collect()
}

fn target(config: &ServerConfig) -> EngineTarget {
    let roles = ReplicaRoles::default();
    let targets =
        FormatTargets::from_config(config, HOST, roles).unwrap_or_else(|fault| panic!("{fault}"));
    targets.engines.into_iter().next().unwrap()
}

fn device_config(config: &ServerConfig) -> String {
    let target = target(config);
    target.device_config.render(target.config_form).unwrap_or_else(|error| panic!("{error}"))
}

/// The same configuration with the text form that only the stand-in data plane may have.
fn ini_device_config(text: &str) -> String {
    let without = text.replace("data_plane: emulated\n", "");
    device_config(&valid(&format!("data_plane: emulated\nnvme_conf_format: ini\n{without}")))
}

fn engine_environment(config: &ServerConfig) -> String {
    let input = EnvironmentInput::default();
    let variables = environment(&config.engines[0], &input).unwrap();
    let lines = variables
        .iter()
        .map(|(name, value)| format!("{}={}\n", name.to_str().unwrap(), value.to_str().unwrap()));
    lines.collect()
}

fn engine_argv(config: &ServerConfig) -> String {
    let engine = &config.engines[0];
    let placed = placement(&config.engines, &vec![None; config.engines.len()])[0];
    let with_bdevs = engine.has_bdevs();
    let launch = Launch {
        device_config: with_bdevs.then(|| target(config).config_file().path),
        dma_mib: sizing::dma_mib(config, engine, CORES, 0),
        hugepage_mib: if with_bdevs { 2 } else { 0 },
        first_core: placed.first_core,
        numa_node: placed.numa_node,
        checker: false,
    };
    let words = argv(config, engine, &launch);
    let words = words.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ");
    format!("{} {words}\n", binary_name(config.data_plane))
}

fn converted(text: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("daos_server.yml");
    fs::write(&path, text).unwrap();
    commands::convert(&path).unwrap_or_else(|error| panic!("{}", error.report())).text
}

fn report(text: &str) -> String {
    let path = PathBuf::from("daos_server.yml");
    let refused = parse(text.as_bytes(), path, &CommandLine::default(), &surroundings());
    refused.expect_err(text).report() + "\n"
}

/// Each line `mask` or `mask with DD_SUBSYS=list`, and what the engine gets for it.
fn masks(body: &str) -> String {
    let lines = body.lines().map(|line| {
        let written = line.split(" -> ").next().unwrap().trim_end();
        let (mask, subsystems) = written.split_once(" with DD_SUBSYS=").unwrap_or((written, ""));
        let made = mask.parse::<LogMask>().and_then(|mask| mask.limited_to(subsystems)).unwrap();
        format!("{written:<48} -> {made}\n")
    });
    lines.collect()
}

/// What a block must hold, given the configuration above it.
fn generated(kind: &str, config: &str, body: &str) -> String {
    match kind {
        "json device-config" => device_config(&valid(config)),
        "ini device-config" => ini_device_config(config),
        "sh environment" => engine_environment(&valid(config)),
        "sh command" => engine_argv(&valid(config)),
        "yaml converted" => converted(config),
        "text report" => report(config),
        "text masks" => masks(body),
        "yaml" => {
            valid(body);
            body.to_owned()
        }
        // Shown to be refused, or typed by the reader.
        "yaml refused" | "sh" | "text" => body.to_owned(),
        other => panic!("a block of a kind that nothing proves: {other:?}"),
    }
}

/// The page with every block made anew, and how many blocks of each kind it has.
fn made_anew(page: &str) -> (String, BTreeMap<String, usize>) {
    let (mut made, mut counts, mut config) = (String::new(), BTreeMap::new(), String::new());
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        made.push_str(line);
        made.push('\n');
        let Some(kind) = line.strip_prefix("```") else { continue };
        let body: String = lines
            .by_ref()
            .take_while(|line| *line != "```")
            .map(|line| format!("{line}\n"))
            .collect();
        let body = generated(kind, &config, &body);
        if matches!(kind, "yaml" | "yaml refused") {
            config.clone_from(&body);
        }
        *counts.entry(kind.to_owned()).or_default() += 1;
        made.push_str(&body);
        made.push_str("```\n");
    }
    (made, counts)
}

#[test]
fn r60_r65_r177_every_block_of_every_page_is_what_the_code_makes() {
    let pages = pages();
    for (name, path) in &pages {
        let page = fs::read_to_string(path).unwrap();
        let (made, _) = made_anew(&page);
        if std::env::var_os("UPDATE_CONFIG_DOCS").is_some() {
            fs::write(path, &made).unwrap();
        } else {
            assert!(
                page == made,
                "docs/config/{name} is stale: run with UPDATE_CONFIG_DOCS=1\n{made}"
            );
        }
    }
    assert_eq!(pages.len(), 8);
}

#[test]
fn r60_r65_each_class_has_a_page_with_its_configuration_and_what_comes_of_it() {
    let pages = pages();
    for (name, class, kinds) in [
        ("scm-ram.md", "ram", &["sh command", "sh environment"][..]),
        ("scm-dcpm.md", "dcpm", &["sh command", "sh environment"]),
        ("bdev-file.md", "file", &["json device-config", "ini device-config"]),
        ("bdev-kdev.md", "kdev", &["json device-config", "ini device-config"]),
        ("bdev-malloc.md", "malloc", &["json device-config", "ini device-config"]),
        ("bdev-nvme.md", "nvme", &["json device-config", "ini device-config"]),
    ] {
        let page = fs::read_to_string(&pages[name]).unwrap();
        let (_, counts) = made_anew(&page);
        for kind in kinds.iter().chain(&["yaml"]) {
            assert!(counts.contains_key(*kind), "{name} has no block of kind {kind:?}");
        }
        assert!(page.contains(&format!("class: {class}")), "{name}");
    }
}

#[test]
fn r51_r174_the_overview_shows_masks_environment_and_both_generations() {
    let page = fs::read_to_string(&pages()["README.md"]).unwrap();
    let (_, counts) = made_anew(&page);
    for kind in ["text masks", "sh environment", "yaml converted", "text report"] {
        assert!(counts.contains_key(kind), "no block of kind {kind:?}");
    }
    assert!(page.contains("ERR,mgmt=DEBUG") && page.contains("control_log_mask: DEBUG"));
}

#[test]
fn the_overview_names_every_page_and_example() {
    let page = fs::read_to_string(&pages()["README.md"]).unwrap();
    for name in pages().keys().filter(|name| *name != "README.md") {
        assert!(page.contains(&format!("({name})")), "{name}");
    }
    for entry in fs::read_dir(workspace().join("examples/config")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(page.contains(&format!("(../../examples/config/{name})")), "{name}");
    }
}
