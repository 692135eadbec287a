//! What engines need of this host before they start: huge pages by NUMA node, and locked memory (contract 5.5, 5.7).
//!
//! One computation, below both rooms that depend on it: `preflight` judges whether it is there, `prepare` sees that it comes. Pure, but
//! that `memlock` also raises the limit of this process. Knows no sysfs.

pub mod memlock;
mod pages;

pub use pages::{PagesAsk, needed_pages, never_fewer, node_of, pages_of_nodes, spread_pages};
