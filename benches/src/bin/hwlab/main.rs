//! `hwlab`: the real programs on the kernel's real drivers, in guests with emulated NVMe, persistent memory and an IOMMU.
//!
//! `benches/hwlab/run` installs what it needs and starts this. Each case boots its own guest, asserts from outside, and powers it
//! off; nothing here touches a device of the host.

mod cases;
mod guest;
mod hardware;
mod image;
mod medium;
mod qmp;
mod shell;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Parser;

use self::guest::Lab;

#[derive(Debug, Parser)]
#[command(about = "Run the programs on emulated storage hardware")]
struct Options {
    /// Directory with the unpacked kernel package: boot/vmlinuz-*, lib/modules/*
    #[arg(long)]
    kernel: PathBuf,
    /// Directory with daos_server, dmg and daos_io_server
    #[arg(long)]
    programs: PathBuf,
    /// Directory for images and consoles; consoles of failed cases stay
    #[arg(long)]
    work: PathBuf,
    /// Only cases whose name contains this; may be repeated
    #[arg(long)]
    only: Vec<String>,
    /// Print the names of the cases
    #[arg(long)]
    list: bool,
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    if options.list {
        cases::ALL.iter().for_each(|case| println!("{}", case.name));
        return Ok(ExitCode::SUCCESS);
    }
    std::fs::create_dir_all(&options.work).context("making the work directory")?;
    let began = Instant::now();
    let initrd = image::build(&options.kernel, &options.programs, &options.work)?;
    println!(
        "{:>6.1}s  image of {} KiB",
        began.elapsed().as_secs_f64(),
        std::fs::metadata(&initrd)?.len() / 1024
    );
    let lab = Lab::new(&options.kernel, initrd, options.work.clone())?;
    let wanted = |case: &&cases::Case| {
        let only = &options.only;
        only.is_empty() || only.iter().any(|part| case.name.contains(part.as_str()))
    };
    let chosen: Vec<_> = cases::ALL.iter().filter(wanted).collect();
    if chosen.is_empty() {
        bail!("no case has such a name");
    }
    let mut failed = 0;
    for case in chosen {
        let began = Instant::now();
        let outcome = (case.run)(&lab);
        let seconds = began.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => println!("{seconds:>6.1}s  ok    {}", case.name),
            Err(error) => {
                failed += 1;
                println!("{seconds:>6.1}s  FAIL  {}: {error:#}", case.name);
            }
        }
    }
    println!("{failed} failed; {:.1} s in all", began.elapsed().as_secs_f64());
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
