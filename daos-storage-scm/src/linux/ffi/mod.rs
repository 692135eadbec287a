//! Bindings of C interfaces, made by bindgen and compared by CI. Only `ipmctl::sys` uses them.
#![allow(unsafe_code, non_camel_case_types, non_upper_case_globals, non_snake_case)]
#![allow(missing_docs, unreachable_pub, dead_code, clippy::all, clippy::undocumented_unsafe_blocks)]

pub(super) mod ipmctl_generated;
