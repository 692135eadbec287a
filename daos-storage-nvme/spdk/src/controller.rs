//! What SPDK tells of one controller. Called by users of the crate; the calls themselves are made by `thread`.

use crate::thread;

/// What a controller says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controller {
    /// Model, without trailing blanks.
    pub model: String,
    /// Serial number, without trailing blanks.
    pub serial: String,
    /// Firmware revision.
    pub firmware: String,
    /// Active namespaces by ascending id.
    pub namespaces: Vec<Namespace>,
    /// Its SMART log, when it was asked for and could be read.
    pub health: Option<Health>,
}

/// One namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Namespace {
    /// Id, from 1.
    pub id: u32,
    /// Bytes of one block.
    pub block_bytes: u32,
    /// Size in bytes.
    pub bytes: u64,
}

/// The SMART log, in the units of the NVMe base specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Critical warnings, bit by bit.
    pub warnings: u8,
    /// Composite temperature.
    pub temperature_kelvin: u16,
    /// Minutes above the warning temperature.
    pub warning_minutes: u32,
    /// Minutes above the critical temperature.
    pub critical_minutes: u32,
    /// Minutes the controller was busy.
    pub busy_minutes: u64,
    /// Power cycles.
    pub power_cycles: u64,
    /// Hours switched on.
    pub power_on_hours: u64,
    /// Times power went away without warning.
    pub unsafe_shutdowns: u64,
    /// Media and data integrity errors.
    pub media_errors: u64,
    /// Entries in the error log over the controller's life.
    pub error_log_entries: u64,
}

/// Why a controller could not be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpdkError {
    /// The environment did not start, mostly for want of huge pages or rights. Not tried again in this process.
    #[error("SPDK does not start here (errno {errno})")]
    NotStarted {
        /// The system's number.
        errno: i32,
    },
    /// The controller cannot be attached: another program has it, or no driver for user space.
    #[error("SPDK cannot attach the controller (errno {errno})")]
    NotAttached {
        /// The system's number.
        errno: i32,
    },
    /// An address that is none.
    #[error("not a PCI address")]
    BadAddress,
    /// The thread that makes the calls is gone.
    #[error("the thread of SPDK has ended")]
    Gone,
}

/// Looks at the controller of this PCI address, e.g. `0000:81:00.0`. Blocks while the controller comes up, which takes moments.
/// The first call takes 64 MiB of huge pages for as long as the process lives.
///
/// # Errors
/// [`SpdkError`].
pub fn look(address: &str, health: bool) -> Result<Controller, SpdkError> {
    thread::ask(address, health)
}
