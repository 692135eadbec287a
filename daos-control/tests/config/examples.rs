//! The shipped example files, and the commented default file as the document of every key.

use std::collections::BTreeSet;
use std::fs;

use daos_control::config::{BdevMedia, DataPlane, ScmTier, ServerConfig, commands};

use crate::support::{notices, read, refused, valid, workspace};

fn example(name: &str) -> ServerConfig {
    valid(&read(&format!("examples/config/{name}")))
}

/// SCM class and mount, then block device class and count, of each engine.
fn storage(config: &ServerConfig) -> Vec<String> {
    config
        .engines
        .iter()
        .map(|engine| {
            let bdevs = engine
                .bdevs
                .iter()
                .map(|tier| format!(" {}x{}", tier.media.device_count(), tier.media.class_name()));
            format!(
                "{} {}{}",
                engine.scm.class_name(),
                engine.scm.mount().display(),
                bdevs.collect::<String>()
            )
        })
        .collect()
}

#[test]
fn r24_every_example_loads() {
    let directory = workspace().join("examples/config");
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            assert_eq!(name, "three-namespaces", "a set without a test");
        } else if name != "daos_server.yml" {
            let config = example(&name);
            assert!(!config.engines.is_empty(), "{name}");
            names.insert(name);
        }
    }
    for wanted in [
        "ram-file.yml",
        "ram-malloc.yml",
        "ram-kdev.yml",
        "dcpm-nvme.yml",
        "two-engines.yml",
        "three-replicas.yml",
        "metadata-on-disk.yml",
        "seed-form.yml",
        "daos_server_local.yml",
        "daos_server_sockets.yml",
        "daos_server_psm2.yml",
        "daos_server_unittests.yml",
        "laptop.yml",
    ] {
        assert!(names.remove(wanted), "{wanted} is missing");
    }
    assert_eq!(names, BTreeSet::new(), "examples without a place in this test");
}

/// The files of one system differ in their host's own paths only, and every host is a replica.
#[test]
fn the_set_for_three_namespaces_is_one_system() {
    let hosts = ["1", "2", "3"].map(|host| {
        let text = read(&format!("examples/config/three-namespaces/server{host}.yml"));
        let config = valid(&text);
        assert_eq!((config.replicas.len(), config.engines.len()), (3, 1));
        let (_, keys) = text.split_once("name:").unwrap();
        let own = [format!("daos_three/{host}/"), format!("/host{host}\n")];
        keys.replace(&own[0], "daos_three/N/").replace(&own[1], "/hostN\n")
    });
    assert_eq!(hosts[0], hosts[1]);
    assert_eq!(hosts[0], hosts[2]);
}

#[test]
fn each_case_is_what_its_name_says() {
    for (name, expected) in [
        ("ram-file.yml", &["ram /mnt/daos 2xfile"][..]),
        ("ram-malloc.yml", &["ram /mnt/daos 2xmalloc"]),
        ("ram-kdev.yml", &["ram /mnt/daos 2xkdev"]),
        ("dcpm-nvme.yml", &["dcpm /mnt/daos 2xnvme"]),
        ("two-engines.yml", &["ram /mnt/daos0 2xnvme", "ram /mnt/daos1 2xnvme"]),
        ("metadata-on-disk.yml", &["ram /mnt/daos 1xnvme 2xnvme"]),
        ("seed-form.yml", &["dcpm /mnt/daos 1xnvme"]),
    ] {
        assert_eq!(storage(&example(name)), expected, "{name}");
    }
    assert_eq!(example("three-replicas.yml").replicas.len(), 3);
    let on_disk = example("metadata-on-disk.yml");
    assert!(on_disk.control_metadata.is_some() && on_disk.engines[0].has_roles());
}

#[test]
fn r24_the_four_files_of_old() {
    let local = example("daos_server_local.yml");
    assert_eq!(storage(&local), ["ram /mnt/daos 1xfile"]);
    assert!(local.transport.allow_insecure);
    assert_eq!(local.hugepages.count, 4096);
    let engine = &local.engines[0];
    assert_eq!((engine.targets, engine.helper_streams), (1, 0));
    assert_eq!((engine.fabric.interface.as_str(), engine.fabric.port), ("eth0", 31416));
    assert_eq!(engine.fabric.provider, "ofi+sockets");
    assert!(matches!(engine.scm, ScmTier::Ram { size_gib: 4, .. }));
    assert_eq!(
        engine.bdevs[0].media,
        BdevMedia::File { paths: vec!["/tmp/daos-bdev".into()], size_gib: 16 }
    );
    for (name, interfaces) in
        [("daos_server_sockets.yml", ["eth0", "eth1"]), ("daos_server_psm2.yml", ["ib0", "ib1"])]
    {
        let config = example(name);
        assert_eq!(storage(&config), ["dcpm /mnt/daos0 1xnvme", "dcpm /mnt/daos1 1xnvme"]);
        let found: Vec<_> =
            config.engines.iter().map(|engine| engine.fabric.interface.as_str()).collect();
        assert_eq!(found, interfaces);
        let cores: Vec<_> = config.engines.iter().map(|engine| engine.first_core).collect();
        assert_eq!(cores, [Some(1), Some(25)]);
        assert!(
            config.engines[1].env_vars.iter().any(|given| given.to_string() == "CRT_TIMEOUT=30")
        );
    }
    let tests = example("daos_server_unittests.yml");
    assert_eq!(storage(&tests), ["ram /mnt/daos"]);
    assert_eq!(tests.engines[0].fabric.interface, "lo");
    assert_eq!(tests.engines[0].log_mask.as_deref(), Some("DBUG,RPC=ERR,MEM=ERR"));
}

#[test]
fn the_laptop_needs_neither_root_nor_hardware() {
    let text = read("examples/config/laptop.yml");
    let config = valid(&text);
    assert_eq!(config.data_plane, DataPlane::Emulated);
    assert_eq!(storage(&config), ["ram /dev/shm/daos_quickstart 1xfile"]);
    assert!(config.transport.allow_insecure && config.engines[0].fabric.interface == "lo");
    assert!(config.socket_dir.starts_with("/tmp") && config.state_dir.starts_with("/tmp"));
    let relaxed: Vec<_> = notices(&text)
        .into_iter()
        .filter(|notice| notice.text.contains("a real engine would refuse"))
        .collect();
    assert_eq!(relaxed.len(), 1, "{relaxed:?}");
}

#[test]
fn examples_of_the_2_8_form_convert_to_themselves_and_the_older_ones_to_it() {
    for name in ["ram-file.yml", "dcpm-nvme.yml", "seed-form.yml", "daos_server_sockets.yml"] {
        let path = workspace().join("examples/config").join(name);
        let told = commands::convert(&path).unwrap_or_else(|error| panic!("{}", error.report()));
        let mut converted = valid(&told.text);
        let original = example(name);
        converted.state_dir.clone_from(&original.state_dir);
        assert_eq!(converted, original, "{name}");
    }
}

const DEFAULT_FILE: &str = "examples/config/daos_server.yml";

/// The file after its keys lost their comment marker, as an administrator would do it.
fn uncommented() -> String {
    let text = read(DEFAULT_FILE);
    text.lines().map(|line| line.strip_prefix('#').unwrap_or(line).to_owned() + "\n").collect()
}

#[test]
fn r25_still_commented_it_lacks_provider_and_engines_only() {
    let codes: Vec<i32> =
        refused(&read(DEFAULT_FILE)).iter().map(|found| found.fault.code).collect();
    assert_eq!(codes, [707, 708]);
}

/// The documented default of a key, if it is a value.
fn documented(prose: &str) -> Option<&str> {
    let (_, default) = prose.rsplit_once("Default: ")?;
    if let Some(quoted) = default.strip_prefix('`') {
        return quoted.split('`').next();
    }
    let word = default.split([',', '.', ' ']).next()?;
    let is_value = word.parse::<i64>().is_ok() || matches!(word, "true" | "false" | "empty");
    is_value.then_some(word)
}

#[test]
fn r25_the_values_in_the_file_are_the_documented_ones_and_the_built_in_ones() {
    let text = uncommented();
    let lines: Vec<&str> = text.lines().collect();
    let whole = valid(&text);
    let mut prose = String::new();
    let mut compared = 0;
    for (index, line) in lines.iter().enumerate() {
        let trimmed = line.trim();
        if trimmed.is_empty() {
            continue;
        }
        if let Some(more) = trimmed.strip_prefix('#') {
            prose.push_str(more.trim());
            prose.push(' ');
            continue;
        }
        let about = std::mem::take(&mut prose);
        let Some(default) = documented(&about) else { continue };
        let (_, value) = trimmed.split_once(": ").unwrap_or_else(|| panic!("{line}"));
        let bare = value.trim_start_matches('[').trim_end_matches(']');
        let shown = if bare.is_empty() { "empty" } else { bare };
        assert_eq!(shown, default, "{line}: the text above says {about:?}");
        let without: Vec<&str> = lines
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index)
            .map(|(_, line)| *line)
            .collect();
        assert_eq!(valid(&without.join("\n")), whole, "{line}: leaving it out changes something");
        compared += 1;
    }
    assert!(compared >= 45, "only {compared} defaults were compared");
}

#[test]
fn r25_every_key_is_in_the_file_with_the_text_of_the_schema() {
    let text = read(DEFAULT_FILE);
    let words = |line: &str| line.trim_start_matches('#').trim().to_owned();
    let prose = text.lines().map(words).collect::<Vec<_>>().join(" ");
    let prose = prose.split_whitespace().collect::<Vec<_>>().join(" ");
    let schema: serde_json::Value = serde_json::from_str(&commands::schema()).unwrap();
    let parts = schema["$defs"].as_object().unwrap().values();
    let objects: Vec<_> = std::iter::once(&schema)
        .chain(parts)
        .filter_map(|part| part["properties"].as_object())
        .collect();
    for (key, about) in objects.into_iter().flatten() {
        let description =
            about["description"].as_str().unwrap_or_else(|| panic!("{key} has no text"));
        let description = description.split_whitespace().collect::<Vec<_>>().join(" ");
        let entry = format!("{description} {key}:");
        let first = format!("{description} - {key}:");
        let or = format!("{description} or: {key}:");
        let found = [&entry, &first, &or].iter().any(|wanted| prose.contains(wanted.as_str()));
        assert!(found, "{key} is missing, or its text is not {description:?}");
    }
}
