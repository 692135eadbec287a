//! Measurements anyone can repeat; each program in `src/bin` says how to run and how to read it.
//!
//! * `footprint`: how fast, how large and how big in memory the programs are (medians of release binaries).
