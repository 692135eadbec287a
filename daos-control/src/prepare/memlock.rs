//! Memory that an engine may lock: VFIO needs it, and what the server may lock its engines may too.
//!
//! `lacking` is pure; `raise` changes the limit of this process, which engines inherit.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::fault::{Fault, code};

/// Least number of bytes with which an engine finds its controllers through VFIO (seed 2.7).
pub const LEAST_MEMLOCK: u64 = 64 << 20;

/// The fault of a limit that is too low. The kernel does not hold root to it.
#[must_use]
pub fn lacking(limit: Option<u64>, is_root: bool) -> Option<Fault> {
    let limit = limit.filter(|limit| *limit < LEAST_MEMLOCK && !is_root)?;
    Some(Fault::new(
        "server",
        code::START_MEMLOCK_TOO_LOW,
        format!("engines may lock {limit} bytes of memory, VFIO needs {LEAST_MEMLOCK} at least"),
        "set LimitMEMLOCK=infinity in the unit of the server, or 'USER - memlock unlimited' in /etc/security/limits.d/",
    ))
}

/// What to tell when an engine could not lock all the memory it may use for DMA.
#[must_use]
pub fn notice(limit: Option<u64>, is_root: bool, dma_mib: u64) -> Option<String> {
    let wanted = (dma_mib << 20).saturating_add(LEAST_MEMLOCK);
    let limit = limit.filter(|limit| *limit < wanted && !is_root)?;
    Some(format!(
        "engines may lock {} MiB of memory and use up to {dma_mib} MiB for DMA: set LimitMEMLOCK=infinity in the unit of the server",
        limit >> 20
    ))
}

/// Raises the limit of this process as far as it may, and gives what it is then.
#[must_use]
pub fn raise() -> Option<u64> {
    let before = getrlimit(Resource::Memlock);
    // Without a privilege only the part below the hard limit can be had. Either may fail, and what is so then is read back.
    let wishes = [
        Rlimit { current: None, maximum: None },
        Rlimit { current: before.maximum, maximum: before.maximum },
    ];
    for wish in wishes {
        if setrlimit(Resource::Memlock, wish).is_ok() {
            break;
        }
    }
    getrlimit(Resource::Memlock).current
}

/// The limit as it is.
#[must_use]
pub fn current() -> Option<u64> {
    getrlimit(Resource::Memlock).current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_low_limit_refuses_a_plain_user_and_not_root() {
        let low = lacking(Some(LEAST_MEMLOCK - 1), false).expect("a fault");
        assert_eq!(low.code, 1452);
        assert!(low.resolution.contains("LimitMEMLOCK=infinity"), "{low}");
        assert_eq!(lacking(Some(LEAST_MEMLOCK - 1), true), None);
        assert_eq!(lacking(Some(LEAST_MEMLOCK), false), None);
        assert_eq!(lacking(None, false), None);
    }

    #[test]
    fn a_limit_below_the_memory_for_dma_is_told() {
        let told = notice(Some(2 << 30), false, 4096).expect("a notice");
        assert!(told.contains("2048 MiB") && told.contains("4096 MiB"), "{told}");
        assert_eq!(notice(Some(5 << 30), false, 4096), None);
        assert_eq!(notice(None, false, 4096), None);
        assert_eq!(notice(Some(0), true, 4096), None);
    }

    #[test]
    fn what_can_be_raised_is_raised() {
        let hard = getrlimit(Resource::Memlock).maximum;
        let raised = raise();
        assert_eq!(raised, current());
        // At least all that was allowed before; as root everything.
        assert!(raised.is_none() || raised >= hard, "{raised:?} {hard:?}");
    }
}
