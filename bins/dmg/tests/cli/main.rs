//! What an administrator sees: the real `dmg` against a scripted server, compared with the files in `tests/output`.

mod arguments;
mod config;
mod connections;
mod fake;
mod members;
mod preflight;
mod prepare;
mod replicas;
mod run;
mod storage;
mod system;
