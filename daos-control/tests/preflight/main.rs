//! Preflight: its rules on made-up hosts, its eyes on a made-up kernel and on this one.
#![cfg(feature = "server")]

mod hosts;
mod observation;
mod rules;
mod start;
