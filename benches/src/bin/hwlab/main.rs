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

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
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
    /// Cases that run at the same time
    #[arg(long, default_value_t = 1)]
    jobs: usize,
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
    let _only_one = tidy(&options.work)?;
    let began = Instant::now();
    let image = image::build(&options.kernel, &options.programs, &options.work)?;
    println!(
        "{:>6.1}s  image of {} KiB",
        began.elapsed().as_secs_f64(),
        std::fs::metadata(&image.initrd)?.len() / 1024
    );
    let lab = Lab::new(&options.kernel, image, options.work.clone(), options.programs.clone())?;
    let wanted = |case: &&cases::Case| {
        let only = &options.only;
        only.is_empty() || only.iter().any(|part| case.name.contains(part.as_str()))
    };
    let chosen: Vec<_> = cases::ALL.iter().filter(wanted).collect();
    if chosen.is_empty() {
        bail!("no case has such a name");
    }
    let failed = run_all(&lab, &chosen, options.jobs);
    println!("{failed} failed; {:.1} s in all", began.elapsed().as_secs_f64());
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the cases, `jobs` of them at a time; how many failed.
fn run_all(lab: &Lab, chosen: &[&cases::Case], jobs: usize) -> usize {
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        while let Some(case) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            let began = Instant::now();
            let outcome = (case.run)(lab);
            let seconds = began.elapsed().as_secs_f64();
            match outcome {
                Ok(()) => println!("{seconds:>6.1}s  ok    {}", case.name),
                Err(error) => {
                    failed.fetch_add(1, Ordering::Relaxed);
                    println!("{seconds:>6.1}s  FAIL  {}: {error:#}", case.name);
                }
            }
        }
    };
    // Guests end with the thread that started them, so all of it happens in threads that wait for theirs.
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(work);
        }
    });
    failed.into_inner()
}

/// One run at a time in a work directory; what an earlier one left when it was killed is removed.
fn tidy(work: &Path) -> Result<File> {
    std::fs::create_dir_all(work).context("making the work directory")?;
    let lock = File::create(work.join("lock")).context("making the lock")?;
    lock.lock().context("waiting for another run")?;
    for entry in std::fs::read_dir(work)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(".tmp") && entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path()).with_context(|| name.clone())?;
        } else if ["shell-", "qmp-", "qemu-", "console-"]
            .iter()
            .any(|start| name.starts_with(start))
        {
            std::fs::remove_file(entry.path()).with_context(|| name.clone())?;
        }
    }
    Ok(lock)
}
