//! From the errors of the leaf crates to faults. The number chooses the domain; nothing else is decided here.

use std::error::Error;

use super::{Fault, table};

impl Fault {
    /// The fault form of an error that knows its number and its remedy. The causes beneath it become the reason,
    /// outermost first.
    #[must_use]
    pub fn of(error: &(dyn Error + 'static), code: i32, resolution: impl Into<String>) -> Self {
        let domain = table::find(code).map_or("unknown", |row| row.domain);
        let text = error.to_string();
        let mut reasons: Vec<String> = Vec::new();
        let mut cause = error.source();
        while let Some(current) = cause {
            let words = current.to_string();
            // Some errors repeat their cause in their own text.
            if !text.contains(&words) && reasons.last() != Some(&words) {
                reasons.push(words);
            }
            cause = current.source();
        }
        Self::new(domain, code, text, resolution).with_reason(reasons.join(": "))
    }
}

#[cfg(feature = "server")]
macro_rules! leaf_errors {
    ($($error:path),* $(,)?) => {
        $(
            impl From<&$error> for Fault {
                fn from(error: &$error) -> Self {
                    Self::of(error, error.code(), error.resolution())
                }
            }
            impl From<$error> for Fault {
                fn from(error: $error) -> Self {
                    Self::from(&error)
                }
            }
        )*
    };
}

#[cfg(feature = "server")]
leaf_errors! {
    daos_membership::FaultDomainError,
    daos_membership::JoinRefused,
    daos_membership::MembershipError,
    daos_membership::MessageError,
    daos_membership::ReceiveRefused,
    daos_membership::SelectionError,
    daos_membership::StoreError,
    daos_membership::backup::BackupError,
    daos_storage_nvme::BdevError,
    daos_storage_nvme::blockdev::BlockdevError,
    daos_storage_scm::ScmError,
}

#[cfg(all(test, feature = "server"))]
mod tests {
    use std::io;

    use daos_storage_nvme::blockdev::BlockdevError;
    use daos_storage_scm::ScmError;

    use crate::fault::Fault;

    #[test]
    fn a_leaf_error_keeps_number_text_cause_and_remedy() {
        let error = BlockdevError::AccessDenied {
            path: "/dev/sdb".into(),
            action: "open",
            source: io::Error::from_raw_os_error(13),
        };
        let fault = Fault::from(&error);
        assert_eq!((fault.code, fault.domain.as_ref()), (1217, "blockdev"));
        assert!(fault.description.contains("/dev/sdb"));
        assert!(fault.reason.contains("Permission denied"), "{}", fault.reason);
        assert!(fault.has_resolution());

        let fault = Fault::from(ScmError::RamSizeZero { engine: 1 });
        assert_eq!((fault.code, fault.domain.as_ref(), fault.reason.as_str()), (201, "scm", ""));
    }
}
