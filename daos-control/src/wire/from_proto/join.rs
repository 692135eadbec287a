//! A join request (contract 2 `JoinReq`, 6.4).

use daos_membership::{Incarnation, Rank};
use daos_proto::mgmt::JoinReq;

use super::bounds::{bounded, unusable};
use crate::system_ops::JoinMessage;
use crate::wire::CallError;

/// Longest address, URI or fault domain that is looked at, in bytes.
const LONGEST: usize = 1024;
/// Most providers besides the first.
const MOST_SECONDARY: usize = 16;
/// Most engines on a host.
const MOST_ENGINES: u32 = 1024;

/// The join that a message asks for.
///
/// # Errors
/// Fault 1366 for a uuid that is none, and for texts, lists and numbers beyond any real engine's.
pub fn join(message: JoinReq) -> Result<JoinMessage, CallError> {
    let uuid = bounded("uuid", message.uuid, 64)?;
    let uuid = uuid.parse().map_err(|_| unusable("uuid", format!("{uuid:?} is no uuid")))?;
    if message.idx >= MOST_ENGINES {
        return Err(unusable("idx", format!("{} is no engine of a host", message.idx)));
    }
    let secondary = message.secondary_uris.len().max(message.secondary_nctxs.len());
    if secondary > MOST_SECONDARY {
        return Err(unusable(
            "secondary_uris",
            format!("{secondary} are more than {MOST_SECONDARY}"),
        ));
    }
    let secondary_fabric_uris = message
        .secondary_uris
        .into_iter()
        .map(|uri| bounded("secondary_uris", uri, LONGEST))
        .collect::<Result<_, _>>()?;
    Ok(JoinMessage {
        uuid,
        rank: Rank::new(message.rank),
        index: message.idx,
        address: bounded("addr", message.addr, LONGEST)?,
        incarnation: Incarnation(message.incarnation),
        fabric_uri: bounded("uri", message.uri, LONGEST)?,
        secondary_fabric_uris,
        fabric_contexts: message.nctxs,
        secondary_fabric_contexts: message.secondary_nctxs,
        fault_domain: bounded("srvFaultDomain", message.srv_fault_domain, LONGEST)?,
        check_mode: message.check_mode,
        replace: message.replace,
    })
}

#[cfg(test)]
mod tests {
    use daos_proto::mgmt::JoinReq;

    use super::join;

    fn message() -> JoinReq {
        JoinReq {
            uuid: "7c7f9b0e-2a1f-4f61-9f6f-0d3d1a1a5e11".into(),
            rank: u32::MAX,
            uri: "ofi+tcp://10.0.0.1:31416".into(),
            addr: "0.0.0.0:10001".into(),
            srv_fault_domain: "/host1".into(),
            incarnation: 7,
            ..JoinReq::default()
        }
    }

    #[test]
    fn a_real_message_is_understood() {
        let join = join(message()).expect("usable");
        assert_eq!((join.rank, join.incarnation.0, join.index), (None, 7, 0));
        let ranked = super::join(JoinReq { rank: 0, ..message() }).expect("usable");
        assert_eq!(ranked.rank.map(|rank| rank.get()), Some(0));
    }

    #[test]
    fn nonsense_names_its_field() {
        let huge = || "x".repeat(1 << 21);
        let cases = [
            ("uuid", JoinReq { uuid: "not-a-uuid".into(), ..message() }),
            ("uuid", JoinReq { uuid: String::new(), ..message() }),
            ("uuid", JoinReq { uuid: huge(), ..message() }),
            ("uri", JoinReq { uri: huge(), ..message() }),
            ("addr", JoinReq { addr: huge(), ..message() }),
            ("srvFaultDomain", JoinReq { srv_fault_domain: huge(), ..message() }),
            ("idx", JoinReq { idx: u32::MAX, ..message() }),
            ("secondary_uris", JoinReq { secondary_uris: vec![huge()], ..message() }),
            ("secondary_uris", JoinReq { secondary_nctxs: vec![0; 1 << 20], ..message() }),
        ];
        for (field, message) in cases {
            let error = join(message).expect_err(field);
            assert_eq!(error.fault_code(), Some(1366));
            let text = error.to_string();
            assert!(text.contains(&format!("field {field} ")) && text.len() < 300, "{text}");
        }
    }
}
