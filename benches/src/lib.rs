//! Measurements anyone can repeat; each program in `src/bin` says how to run and how to read it.
//!
//! * `footprint`: how fast, how large and how big in memory the programs are (medians of release binaries).
//! * `join`: how fast engines join a large system, what that costs, and how long a lost leader is missed.
//! * `hwlab`: the programs on the kernel's real drivers, in guests with emulated NVMe (`benches/hwlab/run`).
//! * `cluster`: five hosts in network namespaces that lose leaders, links and disks, and keep what they acknowledged.
//! * `simulate`: the management service of a whole system under faults, on simulated network, clocks and disks.
//!
//! [`history`] judges what clients of a replicated service were told.

pub mod history;
pub mod simulation;
