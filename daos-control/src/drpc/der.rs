//! Status numbers of DAOS that cross dRPC inside answers (contract 10.1). Negative on the wire, 0 is success.
//!
//! Only what the control plane says or branches on. Called by the supervisor and by engines.

/// Permission or proof denied.
pub const NO_PERM: i32 = -1001;
/// Malformed or out of order.
pub const INVAL: i32 = -1003;
/// Exists already.
pub const EXIST: i32 = -1004;
/// Does not exist.
pub const NONEXIST: i32 = -1005;
/// Cannot be reached.
pub const UNREACH: i32 = -1006;
/// Busy.
pub const BUSY: i32 = -1012;
/// Try again.
pub const AGAIN: i32 = -1013;
/// Against the protocol, or not yet up.
pub const PROTO: i32 = -1014;
/// Canceled.
pub const CANCELED: i32 = -1018;
/// Anything else.
pub const MISC: i32 = -1025;
/// The group map is missing or of another version.
pub const GRPVER: i32 = -1036;
/// Does not apply in this state.
pub const NOTAPPLICABLE: i32 = -2019;
/// No certificate.
pub const NO_CERT: i32 = -2043;

/// Name of a status, for texts; empty for those not listed here.
#[must_use]
pub fn name(status: i32) -> &'static str {
    match status {
        0 => "success",
        NO_PERM => "DER_NO_PERM",
        INVAL => "DER_INVAL",
        EXIST => "DER_EXIST",
        NONEXIST => "DER_NONEXIST",
        UNREACH => "DER_UNREACH",
        BUSY => "DER_BUSY",
        AGAIN => "DER_AGAIN",
        PROTO => "DER_PROTO",
        CANCELED => "DER_CANCELED",
        MISC => "DER_MISC",
        GRPVER => "DER_GRPVER",
        NOTAPPLICABLE => "DER_NOTAPPLICABLE",
        NO_CERT => "DER_NO_CERT",
        _ => "",
    }
}

/// `DER_INVAL(-1003)`, or the number alone.
#[must_use]
pub fn text(status: i32) -> String {
    match name(status) {
        "" => status.to_string(),
        name => format!("{name}({status})"),
    }
}
