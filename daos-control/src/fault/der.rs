//! `Der`: the status numbers of the data plane (contract 10.1), always negative on the wire.
//!
//! Used wherever a `status` field is read or answered. Knows the numbers, names and a short text for each.

use std::fmt;

/// A non-zero status of the data plane.
///
/// ```
/// use daos_control::fault::Der;
///
/// assert_eq!(Der::UNREACH.value(), -1006);
/// assert_eq!(Der(-1006).to_string(), "DER_UNREACH(-1006): node cannot be reached");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Der(
    /// The value as it travels: negative.
    pub i32,
);

macro_rules! statuses {
    ($($number:literal $name:ident $text:literal)*) => {
        impl Der {
            $(#[doc = concat!("`DER_", stringify!($name), "`: ", $text, ".")] pub const $name: Self = Self(-$number);)*
        }
        const NAMED: &[(i32, &str, &str)] = &[$((-$number, concat!("DER_", stringify!($name)), $text),)*];
    };
}

impl Der {
    /// The value as it travels.
    #[must_use]
    pub fn value(self) -> i32 {
        self.0
    }

    /// The stock name, or `DER_UNKNOWN` for a number that has none.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().map_or("DER_UNKNOWN", |(name, _)| name)
    }

    fn entry(self) -> Option<(&'static str, &'static str)> {
        NAMED.iter().find(|(value, ..)| *value == self.0).map(|(_, name, text)| (*name, *text))
    }
}

impl fmt::Display for Der {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, text) = self.entry().unwrap_or(("DER_UNKNOWN", "unknown status"));
        write!(f, "{name}({}): {text}", self.0)
    }
}

impl std::error::Error for Der {}

statuses! {
    1001 NO_PERM "permission denied"
    1002 NO_HDL "bad handle"
    1003 INVAL "invalid parameter"
    1004 EXIST "it exists already"
    1005 NONEXIST "it does not exist"
    1006 UNREACH "node cannot be reached"
    1007 NOSPACE "no space left on storage"
    1008 ALREADY "done already"
    1009 NOMEM "out of memory"
    1010 NOSYS "not implemented"
    1011 TIMEDOUT "time ran out"
    1012 BUSY "busy"
    1013 AGAIN "try again"
    1014 PROTO "incompatible protocol"
    1015 UNINIT "not initialised"
    1016 TRUNC "buffer too short"
    1017 OVERFLOW "value too large"
    1018 CANCELED "cancelled"
    1019 OOG "not in the group"
    1020 HG "transport layer failed"
    1021 UNREG "RPC not registered"
    1022 ADDRSTR_GEN "address text could not be made"
    1023 PMIX "PMIx layer failed"
    1024 IVCB_FORWARD "incast variable was forwarded"
    1025 MISC "something else went wrong"
    1026 BADPATH "bad path"
    1027 NOTDIR "not a directory"
    1028 CORPC_INCOMPLETE "collective call incomplete"
    1029 NO_RAS_RANK "no rank subscribes to events"
    1030 NOTATTACH "service group not attached"
    1031 MISMATCH "version mismatch"
    1032 EXCLUDED "rank is excluded"
    1033 NOREPLY "no answer"
    1034 DOS "too many requests"
    1035 BAD_TARGET "wrong target"
    1036 GRPVER "group versions differ"
    1037 HLC_SYNC "clocks differ too much"
    1038 NO_SHMEM "no shared memory"
    1039 ADD_METRIC_FAILED "metric could not be added"
    1040 DURATION_MISMATCH "duration started and ended differently"
    1041 OP_NOT_PERMITTED "operation not permitted"
    1042 EXCEEDS_PATH_LEN "path too long"
    1043 METRIC_NOT_FOUND "metric not found"
    1044 SHMEM_PERMS "no right to shared memory"
    1045 HG_FATAL "transport layer failed for good"
    1046 QUOTA_LIMIT "quota reached"
    2001 IO "storage I/O failed"
    2002 FREE_MEM "memory could not be freed"
    2003 ENOENT "no such entry"
    2004 NOTYPE "unknown object type"
    2005 NOSCHEMA "unknown object schema"
    2006 NOLOCAL "object is not local"
    2007 STALE "pool map is out of date"
    2008 NOTLEADER "not the service leader"
    2009 TGT_CREATE "target could not be created"
    2010 EP_RO "epoch is read-only"
    2011 EP_OLD "epoch is too old"
    2012 KEY2BIG "key too large"
    2013 REC2BIG "record too large"
    2014 IO_INVAL "I/O buffers do not fit"
    2015 EQ_BUSY "event queue busy"
    2016 DOMAIN "domains do not match"
    2017 SHUTDOWN "service shuts down"
    2018 INPROGRESS "in progress"
    2019 NOTAPPLICABLE "not applicable"
    2020 NOTREPLICA "not a service replica"
    2021 CSUM "checksum wrong"
    2022 DF_INVAL "durable format invalid"
    2023 DF_INCOMPT "durable format incompatible"
    2024 REC_SIZE "record size wrong"
    2025 TX_RESTART "transaction must restart"
    2026 DATA_LOSS "data lost"
    2027 OP_CANCELED "operation cancelled"
    2028 TX_BUSY "transaction not committed"
    2029 AGENT_INCOMPAT "agent and library do not fit"
    2030 NEED_TX "needs a distributed transaction"
    2031 RF "too many failures for the redundancy"
    2032 FETCH_AGAIN "fetch again"
    2033 TX_UNCERTAIN "transaction state unknown"
    2034 AGENT_COMM "agent cannot be reached"
    2035 ID_MISMATCH "identifiers do not match"
    2036 TGT_RETRY "retry with another target"
    2037 NOTSUPPORTED "not supported"
    2038 CONTROL_INCOMPAT "control plane components do not fit"
    2039 NO_SERVICE "no such service"
    2040 TX_ID_REUSED "transaction identifier reused"
    2041 UPDATE_AGAIN "update again"
    2042 NVME_IO "NVMe I/O failed"
    2043 NO_CERT "no certificate"
    2044 BAD_CERT "bad certificate"
    2045 VOS_PARTIAL_UPDATE "part of the update exists already"
    2046 CHKPT_BUSY "checkpoint in progress"
    2047 DIV_BY_ZERO "division by zero"
    2048 OVERLOAD_RETRY "overloaded, retry later"
    2049 NOT_RESUME "cannot resume"
    2050 CONT_NONEXIST "container does not exist"
    2051 CONT_DESTROYING "container is being destroyed"
    2052 IGNORE "to be ignored"
    501000 UNKNOWN "unknown status"
}

#[cfg(test)]
mod tests {
    use super::{Der, NAMED};

    #[test]
    fn has_both_ranges_of_the_contract_without_gaps() {
        let gurt = NAMED.iter().filter(|(value, ..)| (-1046..=-1001).contains(value)).count();
        let daos = NAMED.iter().filter(|(value, ..)| (-2052..=-2001).contains(value)).count();
        assert_eq!((gurt, daos, NAMED.len()), (46, 52, 99));
    }

    #[test]
    fn prints_a_number_it_does_not_know() {
        assert_eq!(Der(-77).to_string(), "DER_UNKNOWN(-77): unknown status");
        assert_eq!(Der::MISC.to_string(), "DER_MISC(-1025): something else went wrong");
    }
}
