//! What a storage scan finds on this host: persistent memory, NVMe and memory.

pub mod memory;
