//! What the device configuration names: the JSON of 2.8 (contract 5.3) or the INI of the seed (seed 2.5).
//!
//! Pure. Reads names, paths and sizes only and skips what else such a file may hold; the full model is the server's.

use std::path::PathBuf;

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::Value;

/// One device that the configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bdev {
    /// A file or a block device of the kernel.
    Aio {
        /// Its name.
        name: String,
        /// Its path.
        path: PathBuf,
    },
    /// Memory: there is nothing to open.
    Malloc {
        /// Its name.
        name: String,
        /// Its size.
        bytes: u64,
    },
}

#[derive(Deserialize)]
struct Document {
    subsystems: Vec<Subsystem>,
}

#[derive(Deserialize)]
struct Subsystem {
    config: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    method: String,
    #[serde(default)]
    params: Value,
}

#[derive(Deserialize)]
struct AioCreate {
    name: String,
    filename: PathBuf,
}

#[derive(Deserialize)]
struct MallocCreate {
    name: String,
    num_blocks: u64,
    block_size: u64,
}

/// Role bit of a device that keeps an engine's metadata (contract 5.3).
const META: u32 = 2;

/// The roles that the name of a device tells in the JSON form: the last of its three numbers. Names of the INI form have none.
pub fn roles(name: &str) -> Option<u32> {
    let mut numbers = name.rsplitn(4, '_');
    let (roles, tier, index) = (numbers.next()?, numbers.next()?, numbers.next()?);
    let number = |text: &str| text.parse::<u32>().ok();
    number(index).and(number(tier)).and(number(roles))
}

/// The devices that keep the engine's metadata: only the JSON form knows roles, as the last number of a name.
pub fn metadata_devices(text: &str) -> anyhow::Result<Vec<PathBuf>> {
    if !text.trim_start().starts_with('{') {
        return Ok(Vec::new());
    }
    let keeps_metadata = |name: &str| roles(name).is_some_and(|roles| roles & META != 0);
    let metadata = parse_json(text)?.into_iter().filter_map(|bdev| match bdev {
        Bdev::Aio { name, path } if keeps_metadata(&name) => Some(path),
        _ => None,
    });
    Ok(metadata.collect())
}

/// The devices in the order of the file.
pub fn parse(text: &str) -> anyhow::Result<Vec<Bdev>> {
    if text.trim_start().starts_with('{') { parse_json(text) } else { parse_ini(text) }
}

fn parse_json(text: &str) -> anyhow::Result<Vec<Bdev>> {
    let document: Document = serde_json::from_str(text).context("not the JSON of an engine")?;
    let entries =
        document.subsystems.into_iter().filter_map(|subsystem| subsystem.config).flatten();
    entries.filter_map(|entry| bdev_of(entry).transpose()).collect()
}

fn bdev_of(entry: Entry) -> anyhow::Result<Option<Bdev>> {
    let wrong = || format!("parameters of {}", entry.method);
    Ok(Some(match entry.method.as_str() {
        "bdev_aio_create" => {
            let aio: AioCreate =
                serde_json::from_value(entry.params.clone()).with_context(wrong)?;
            Bdev::Aio { name: aio.name, path: aio.filename }
        }
        "bdev_malloc_create" => {
            let malloc: MallocCreate =
                serde_json::from_value(entry.params.clone()).with_context(wrong)?;
            let bytes = malloc.num_blocks.checked_mul(malloc.block_size).with_context(wrong)?;
            Bdev::Malloc { name: malloc.name, bytes }
        }
        "bdev_nvme_attach_controller" => bail!(NO_NVME),
        _ => return Ok(None),
    }))
}

const NO_NVME: &str = "names NVMe controllers, which the stand-in data plane cannot drive: \
     set data_plane: engine, or use bdev_class file, kdev or malloc";

fn parse_ini(text: &str) -> anyhow::Result<Vec<Bdev>> {
    let mut section = "";
    let mut bdevs = Vec::new();
    let (mut units, mut unit_mb) = (0, 0);
    for line in
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let mut words = line.split_whitespace();
        match (section, words.next(), words.next(), words.next()) {
            (_, Some("[Nvme]"), ..) => bail!(NO_NVME),
            (_, Some(name @ ("[AIO]" | "[Malloc]")), None, None) => section = name,
            ("[AIO]", Some("AIO"), Some(path), Some(name)) => {
                bdevs.push(Bdev::Aio { name: name.to_owned(), path: path.into() });
            }
            ("[Malloc]", Some("NumberOfLuns"), Some(number), None) => {
                units = number.parse().with_context(|| line.to_owned())?;
            }
            ("[Malloc]", Some("LunSizeInMB"), Some(number), None) => {
                unit_mb = number.parse().with_context(|| line.to_owned())?;
            }
            _ => bail!("cannot read line {line:?}"),
        }
    }
    let bytes = 1_000_000u64.checked_mul(unit_mb).context("LunSizeInMB is too large")?;
    if units > 1024 {
        bail!("NumberOfLuns is more than 1024");
    }
    bdevs.extend((0..units).map(|unit: u32| Bdev::Malloc { name: format!("Malloc{unit}"), bytes }));
    Ok(bdevs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aio(name: &str, path: &str) -> Bdev {
        Bdev::Aio { name: name.into(), path: path.into() }
    }

    #[test]
    fn metadata_is_where_the_role_says_so() {
        let text = |name: &str| {
            format!(
                r#"{{"subsystems": [{{"subsystem": "bdev", "config": [{{"params": {{"block_size": 4096,
                "name": "{name}", "filename": "/mnt/f0"}}, "method": "bdev_aio_create"}}]}}]}}"#
            )
        };
        for (name, kept) in
            [("AIO_h_0_1_7", 1), ("AIO_h_2_1_2", 1), ("AIO_h_2_2_1", 0), ("AIO_h_2_1_0", 0)]
        {
            assert_eq!(metadata_devices(&text(name)).unwrap().len(), kept, "{name}");
        }
        assert!(metadata_devices("[AIO]\n    AIO /mnt/f0 AIO_h_2 4096\n").unwrap().is_empty());
    }

    #[test]
    fn reads_the_json_of_2_8() {
        let text = r#"{
          "daos_data": { "config": [ { "params": { "begin": 0, "end": 7 }, "method": "hotplug_busid_range" } ] },
          "subsystems": [
            { "subsystem": "bdev", "config": [
              { "params": { "bdev_io_pool_size": 65536 }, "method": "bdev_set_options" },
              { "params": { "block_size": 4096, "name": "AIO_h_0_1_0", "filename": "/mnt/f0" }, "method": "bdev_aio_create" },
              { "params": { "block_size": 0, "name": "AIO_h_1_1_0", "filename": "/dev/loop0" }, "method": "bdev_aio_create" },
              { "params": { "num_blocks": 3, "block_size": 4096, "name": "M" }, "method": "bdev_malloc_create" },
              { "params": { "enable": false, "period_us": 0 }, "method": "bdev_nvme_set_hotplug" } ] },
            { "subsystem": "vmd", "config": null } ] }"#;
        let malloc = Bdev::Malloc { name: "M".into(), bytes: 12288 };
        let expected =
            vec![aio("AIO_h_0_1_0", "/mnt/f0"), aio("AIO_h_1_1_0", "/dev/loop0"), malloc];
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn reads_the_ini_of_the_seed() {
        let text = "[AIO]\n    AIO /mnt/f0 AIO_h_0 4096\n    AIO /dev/loop0 AIO_h_1\n";
        assert_eq!(
            parse(text).unwrap(),
            vec![aio("AIO_h_0", "/mnt/f0"), aio("AIO_h_1", "/dev/loop0")]
        );
        let text = "[Malloc]\n    NumberOfLuns 2\n    LunSizeInMB 4000\n";
        let malloc = |name: &str| Bdev::Malloc { name: name.into(), bytes: 4_000_000_000 };
        assert_eq!(parse(text).unwrap(), vec![malloc("Malloc0"), malloc("Malloc1")]);
    }

    #[test]
    fn says_what_it_cannot_use() {
        let attach =
            r#"{"subsystems":[{"config":[{"method":"bdev_nvme_attach_controller","params":{}}]}]}"#;
        for (text, word) in [
            (attach, "NVMe"),
            ("[Nvme]\n", "NVMe"),
            ("{", "JSON"),
            ("[Other]\n", "[Other]"),
            ("AIO /x y\n", "AIO /x y"),
            ("[Malloc]\nNumberOfLuns 9999\n", "1024"),
            (
                r#"{"subsystems":[{"config":[{"method":"bdev_aio_create","params":{"name":1}}]}]}"#,
                "bdev_aio_create",
            ),
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(word), "{error}");
        }
    }
}
