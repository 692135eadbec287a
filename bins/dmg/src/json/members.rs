//! `system query` in JSON (contract 8.3). A system may have tens of thousands of members.

use daos_control::client::{Member, SystemStatus, Waited};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::Response;

/// The answer to a query.
pub fn status(status: SystemStatus) -> Response {
    Response::Members(Box::new(Members(status)))
}

/// How a wait ended, with the members as they were then.
pub fn waited(waited: &Waited) -> Value {
    json!({
        "met": waited.standing.met,
        "standing": waited.standing.text,
        "members": MembersJson(&waited.status.members),
    })
}

/// The members of a system, to be written without a copy.
#[derive(Debug)]
pub struct Members(SystemStatus);

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(status) = self;
        let status = StatusJson {
            members: MembersJson(&status.members),
            providers: &status.providers,
            sys_self_heal_policy: &status.self_heal,
            answered_by: status.answered_by.as_ref().map(super::answered_by),
            insecure: status.insecure,
        };
        status.serialize(serializer)
    }
}

#[derive(Serialize)]
struct StatusJson<'a> {
    members: MembersJson<'a>,
    providers: &'a [String],
    sys_self_heal_policy: &'a str,
    /// Ours: stock servers do not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_by: Option<Value>,
    /// Ours: stock tools do not say it.
    insecure: bool,
}

struct MembersJson<'a>(&'a [Member]);

impl Serialize for MembersJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(MemberJson::of))
    }
}

#[derive(Serialize)]
struct MemberJson<'a> {
    addr: &'a str,
    state: &'static str,
    fault_domain: &'a str,
    rank: u32,
    incarnation: u64,
    uuid: &'a str,
    fabric_uri: &'a str,
    secondary_fabric_uris: &'a [String],
    fabric_contexts: u32,
    /// Stock servers do not send them.
    secondary_fabric_contexts: (),
    info: &'a str,
    last_update: &'a str,
}

impl<'a> MemberJson<'a> {
    fn of(member: &'a Member) -> Self {
        Self {
            addr: &member.address,
            state: member.state.wire_str(),
            fault_domain: &member.fault_domain,
            rank: member.rank,
            incarnation: member.incarnation,
            uuid: &member.uuid,
            fabric_uri: &member.fabric_uri,
            secondary_fabric_uris: &member.secondary_fabric_uris,
            fabric_contexts: member.fabric_contexts,
            secondary_fabric_contexts: (),
            info: &member.info,
            last_update: &member.last_update,
        }
    }
}
