//! Which component may call which method when callers show certificates (contract 1.2). What is not listed is
//! refused to everybody. Consulted by the layer of `layers`; knows methods by their path only.

use crate::wire::{CallError, Component};

const ADMIN: &[Component] = &[Component::Admin];
const AGENT: &[Component] = &[Component::Agent];
const SERVER: &[Component] = &[Component::Server];
const ADMIN_AGENT: &[Component] = &[Component::Admin, Component::Agent];
const ADMIN_SERVER: &[Component] = &[Component::Admin, Component::Server];

/// The components that may call each method. `SystemQuery` and `SystemErase` also admit servers, since a leader
/// calls both on its peers.
const TABLE: &[(&str, &[Component])] = &[
    ("/mgmt.MgmtSvc/Join", SERVER),
    ("/mgmt.MgmtSvc/ClusterEvent", SERVER),
    ("/mgmt.MgmtSvc/LeaderQuery", ADMIN),
    ("/mgmt.MgmtSvc/PoolCreate", ADMIN),
    ("/mgmt.MgmtSvc/PoolDestroy", ADMIN),
    ("/mgmt.MgmtSvc/PoolEvict", ADMIN_AGENT),
    ("/mgmt.MgmtSvc/PoolExclude", ADMIN),
    ("/mgmt.MgmtSvc/PoolDrain", ADMIN_SERVER),
    ("/mgmt.MgmtSvc/PoolExtend", ADMIN),
    ("/mgmt.MgmtSvc/PoolReintegrate", ADMIN_SERVER),
    ("/mgmt.MgmtSvc/PoolQuery", ADMIN),
    ("/mgmt.MgmtSvc/PoolQueryTarget", ADMIN),
    ("/mgmt.MgmtSvc/PoolSetProp", ADMIN),
    ("/mgmt.MgmtSvc/PoolGetProp", ADMIN),
    ("/mgmt.MgmtSvc/PoolGetACL", ADMIN),
    ("/mgmt.MgmtSvc/PoolOverwriteACL", ADMIN),
    ("/mgmt.MgmtSvc/PoolUpdateACL", ADMIN),
    ("/mgmt.MgmtSvc/PoolDeleteACL", ADMIN),
    ("/mgmt.MgmtSvc/PoolUpgrade", ADMIN),
    ("/mgmt.MgmtSvc/PoolRebuildStart", ADMIN_SERVER),
    ("/mgmt.MgmtSvc/PoolRebuildStop", ADMIN_SERVER),
    ("/mgmt.MgmtSvc/PoolSelfHealEval", ADMIN_SERVER),
    ("/mgmt.MgmtSvc/GetAttachInfo", AGENT),
    ("/mgmt.MgmtSvc/ListPools", ADMIN),
    ("/mgmt.MgmtSvc/ListContainers", ADMIN),
    ("/mgmt.MgmtSvc/ContSetOwner", ADMIN),
    ("/mgmt.MgmtSvc/SystemQuery", ADMIN_SERVER),
    ("/mgmt.MgmtSvc/SystemStop", ADMIN),
    ("/mgmt.MgmtSvc/SystemStart", ADMIN),
    ("/mgmt.MgmtSvc/SystemExclude", ADMIN),
    ("/mgmt.MgmtSvc/SystemDrain", ADMIN),
    ("/mgmt.MgmtSvc/SystemRebuildManage", ADMIN),
    ("/mgmt.MgmtSvc/SystemSelfHealEval", ADMIN),
    ("/mgmt.MgmtSvc/SystemErase", ADMIN_SERVER),
    ("/mgmt.MgmtSvc/SystemCleanup", ADMIN_AGENT),
    ("/mgmt.MgmtSvc/SystemCheckEnable", ADMIN),
    ("/mgmt.MgmtSvc/SystemCheckDisable", ADMIN),
    ("/mgmt.MgmtSvc/SystemCheckStart", ADMIN),
    ("/mgmt.MgmtSvc/SystemCheckStop", ADMIN),
    ("/mgmt.MgmtSvc/SystemCheckQuery", ADMIN),
    ("/mgmt.MgmtSvc/SystemCheckSetPolicy", ADMIN),
    ("/mgmt.MgmtSvc/SystemCheckGetPolicy", ADMIN),
    ("/mgmt.MgmtSvc/SystemCheckRepair", ADMIN),
    ("/mgmt.MgmtSvc/SystemCheckEngineReport", SERVER),
    ("/mgmt.MgmtSvc/SystemSetAttr", ADMIN),
    ("/mgmt.MgmtSvc/SystemGetAttr", ADMIN),
    ("/mgmt.MgmtSvc/SystemSetProp", ADMIN),
    ("/mgmt.MgmtSvc/SystemGetProp", ADMIN_SERVER),
    ("/mgmt.MgmtSvc/FaultInjectReport", ADMIN),
    ("/mgmt.MgmtSvc/FaultInjectPoolFault", ADMIN),
    ("/mgmt.MgmtSvc/FaultInjectMgmtPoolFault", ADMIN),
    ("/ctl.CtlSvc/StorageScan", ADMIN),
    ("/ctl.CtlSvc/StorageFormat", ADMIN),
    ("/ctl.CtlSvc/StorageNvmeRebind", ADMIN),
    ("/ctl.CtlSvc/StorageNvmeAddDevice", ADMIN),
    ("/ctl.CtlSvc/NetworkScan", ADMIN),
    ("/ctl.CtlSvc/FirmwareQuery", ADMIN),
    ("/ctl.CtlSvc/FirmwareUpdate", ADMIN),
    ("/ctl.CtlSvc/SmdQuery", ADMIN),
    ("/ctl.CtlSvc/SmdManage", ADMIN),
    ("/ctl.CtlSvc/SetEngineLogMasks", ADMIN),
    ("/ctl.CtlSvc/PrepShutdownRanks", SERVER),
    ("/ctl.CtlSvc/StopRanks", SERVER),
    ("/ctl.CtlSvc/ResetFormatRanks", SERVER),
    ("/ctl.CtlSvc/StartRanks", SERVER),
    ("/ctl.CtlSvc/CollectLog", ADMIN),
    ("/ctl.CtlSvc/CheckEngineRepair", SERVER),
    ("/daosx.v1.Storage/PlanFormat", ADMIN),
    ("/daosx.v1.Storage/ApplyFormat", ADMIN),
    ("/daosx.v1.Prepare/PrepareNvme", ADMIN),
    ("/daosx.v1.Prepare/ResetNvme", ADMIN),
    ("/daosx.v1.Pmem/Scan", ADMIN),
    ("/daosx.v1.Host/State", ADMIN_SERVER),
    ("/daosx.v1.Hardware/Devices", ADMIN),
    ("/daosx.v1.Members/Events", ADMIN_SERVER),
    ("/daosx.v1.Members/Follow", ADMIN_SERVER),
    ("/daosx.v1.Members/Exclude", ADMIN),
    ("/daosx.v1.Members/Rejoin", SERVER),
    ("/daosx.v1.Replica/Raft", SERVER),
    ("/daosx.v1.Replica/Status", ADMIN_SERVER),
    ("/daosx.v1.Replica/Enlist", SERVER),
    ("/daosx.v1.Replica/Dismiss", SERVER),
    ("/daosx.v1.ManagementService/ListReplicas", ADMIN),
    ("/daosx.v1.ManagementService/AddReplicas", ADMIN),
    ("/daosx.v1.ManagementService/RemoveReplicas", ADMIN),
    ("/daosx.v1.Preflight/Check", ADMIN),
];

/// Whether `component` may call the method at `path`.
#[must_use]
pub fn allows(path: &str, component: Component) -> bool {
    TABLE.iter().any(|(method, who)| *method == path && who.contains(&component))
}

/// How callers show who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trust {
    /// They say so in a header, and are believed.
    #[default]
    Insecure,
    /// The common name of their certificate says so.
    Certificates,
}

/// Who a connection belongs to, put into its requests by the certificate layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(
    /// The component its certificate is made out to; `None` for a name that is no component.
    pub Option<Component>,
);

/// Judges one call.
///
/// # Errors
/// [`CallError::Unauthenticated`] without a certificate where one is needed, [`CallError::PermissionDenied`]
/// where the table has no such pair.
pub fn authorize(trust: Trust, peer: Option<Peer>, path: &str) -> Result<(), CallError> {
    match (trust, peer) {
        (Trust::Insecure, _) => Ok(()),
        (Trust::Certificates, None) => {
            Err(CallError::Unauthenticated("the caller shows no certificate".to_owned()))
        }
        (Trust::Certificates, Some(Peer(Some(component)))) if allows(path, component) => Ok(()),
        (Trust::Certificates, Some(Peer(component))) => {
            let name = component.map_or("undefined", Component::as_str);
            let text = format!("access denied: {name} does not have permission to call {path}");
            Err(CallError::PermissionDenied(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::{Peer, TABLE, Trust, allows, authorize};
    use crate::wire::{CallError, Component};

    fn compiled_methods() -> BTreeSet<String> {
        let set = FileDescriptorSet::decode(daos_proto::FILE_DESCRIPTOR_SET).expect("descriptors");
        let mut methods = BTreeSet::new();
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    methods.insert(format!(
                        "/{}.{}/{}",
                        file.package(),
                        service.name(),
                        method.name()
                    ));
                }
            }
        }
        methods
    }

    #[test]
    fn every_compiled_method_has_exactly_one_row() {
        let listed: BTreeSet<String> = TABLE.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(listed, compiled_methods());
        assert_eq!(listed.len(), TABLE.len());
    }

    #[test]
    fn pairs_of_the_contract_hold_and_others_do_not() {
        assert!(allows("/mgmt.MgmtSvc/Join", Component::Server));
        assert!(!allows("/mgmt.MgmtSvc/Join", Component::Admin));
        assert!(allows("/mgmt.MgmtSvc/GetAttachInfo", Component::Agent));
        assert!(!allows("/mgmt.MgmtSvc/GetAttachInfo", Component::Admin));
        assert!(!allows("/ctl.CtlSvc/StorageFormat", Component::Agent));
        assert!(!allows("/ctl.CtlSvc/StopRanks", Component::Admin));
        assert!(!allows("/mgmt.MgmtSvc/NoSuchMethod", Component::Server));
        for (path, _) in TABLE {
            assert!(!allows(path, Component::Client), "{path}");
        }
    }

    #[test]
    fn certificates_are_judged_and_headers_are_not() {
        let path = "/ctl.CtlSvc/StorageFormat";
        let with = |component| Some(Peer(component));
        assert_eq!(authorize(Trust::Insecure, None, path), Ok(()));
        assert_eq!(authorize(Trust::Certificates, with(Some(Component::Admin)), path), Ok(()));
        assert!(matches!(
            authorize(Trust::Certificates, None, path),
            Err(CallError::Unauthenticated(_))
        ));
        let refused = authorize(Trust::Certificates, with(Some(Component::Agent)), path);
        let Err(CallError::PermissionDenied(text)) = refused else { panic!("{refused:?}") };
        assert!(text.contains("agent does not have permission to call /ctl.CtlSvc/StorageFormat"));
        assert!(authorize(Trust::Certificates, with(None), path).is_err());
    }
}
