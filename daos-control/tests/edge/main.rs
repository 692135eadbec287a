//! The gRPC edge as strangers see it: a real listener on a free port, spoken to with the generated clients.
#![cfg(feature = "server")]

mod callers;
mod engines;
mod host;
mod members;
mod nonsense;
mod storage;
mod system;
