//! Formats on real storage: tmpfs, directories, loop devices and files.

mod crash;
mod devices;
mod flow;
mod host;
mod log;
mod mounted;
mod trouble;
