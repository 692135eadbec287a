//! Bindings of C interfaces, made by bindgen and compared by CI. Only `sys` uses them.
#![allow(unsafe_code, non_camel_case_types, missing_docs, unreachable_pub)]

pub(super) mod nvme_ioctl_generated;
pub(super) mod vfio_generated;
