//! A storage backend of your own: the volumes of a disk array behind the trait that the server works with.
//!
//! `array.rs` is the whole provider. Here it formats two volumes as a server would, and then has to pass the suite that every
//! provider passes, ours too.
//!
//! Run: `cargo run -p daos-examples --bin write_a_provider`

mod array;
mod bench;

use daos_storage_nvme::{BdevProvider, Intent, StepObserver, conformance, plan};

use self::array::{Array, ArrayBdev};
use self::bench::{ArrayBench, target};

/// Prints each step before it is taken.
struct Told;

impl StepObserver for Told {
    fn step(&self, step: &str) {
        println!("  {step}");
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let array = Array::default();
    array.create("/dev/array/fast");
    array.create("/dev/array/slow");
    array.write("/dev/array/slow", 512, b"DAOSIOBD\x01");
    let (provider, target) = (ArrayBdev::new(array), target());

    let observed = provider.observe(&target).await;
    let plan = plan(&target, &observed, Intent::Plain)?;
    println!("{plan}");
    let shown = plan.digest();
    for outcome in provider.format(plan.accept(&shown)?, &Told).await {
        println!("{}: {:?}", outcome.device, outcome.result);
    }

    // Panics with what was not kept.
    conformance::run(|case| {
        println!("suite: {}", case.replace('_', " "));
        Some(Box::new(ArrayBench::new()))
    })
    .await;
    println!("the provider passes the suite");
    Ok(())
}
