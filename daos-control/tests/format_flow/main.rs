//! Formats on real storage: tmpfs, directories, loop devices and files.

mod crash;
mod flow;
mod host;
mod log;
mod trouble;
