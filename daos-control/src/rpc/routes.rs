//! All services of a node, put together from its parts (R1, contract 1.1).

use daos_proto::ctl::ctl_svc_server::CtlSvcServer;
use daos_proto::daosx::v1::hardware_server::HardwareServer;
use daos_proto::daosx::v1::host_server::HostServer;
use daos_proto::daosx::v1::management_service_server::ManagementServiceServer;
use daos_proto::daosx::v1::members_server::MembersServer;
use daos_proto::daosx::v1::pmem_server::PmemServer;
use daos_proto::daosx::v1::preflight_server::PreflightServer;
use daos_proto::daosx::v1::prepare_server::PrepareServer;
use daos_proto::daosx::v1::replica_server::ReplicaServer;
use daos_proto::daosx::v1::storage_server::StorageServer;
use daos_proto::mgmt::mgmt_svc_server::MgmtSvcServer;
use tonic::service::Routes;

use super::attach::AttachHints;
use super::ctl::CtlService;
use super::gate::Gate;
use super::hardware::HardwareService;
use super::log_masks::LogSettings;
use super::members::MembersService;
use super::mgmt::MgmtService;
use super::node::Node;
use super::ours::{HostService, StorageService};
use super::pmem::PmemService;
use super::preflight::PreflightService;
use super::prepare::PrepareService;
use super::replicas::{MAX_MESSAGE, ReplicaAdministration, ReplicaService};
use crate::config::ServerConfig;
use crate::preflight::{Preflight, Roots};
use crate::scan::{ScanTarget, Scanner};

/// The services that answer on the control port.
#[must_use]
pub fn routes(node: &Node) -> Routes {
    let gate = Gate::new(&node.config.name);
    let storage = StorageService { gate: gate.clone(), format: node.format.clone() };
    let prepare = PrepareService {
        gate: gate.clone(),
        config: node.config.clone(),
        bdev: node.bdev.clone(),
        format: node.format.clone(),
    };
    let scanner = scanner(node);
    let pmem = PmemService { gate: gate.clone(), scanner: scanner.clone() };
    let host = HostService {
        gate: gate.clone(),
        system: node.config.name.clone(),
        insecure: node.config.transport.allow_insecure,
        engines: node.engines.clone(),
        format: node.format.clone(),
        management: node.management.clone(),
    };
    let hardware = HardwareService { gate: gate.clone(), scanner: scanner.clone() };
    let replica = ReplicaService {
        gate: gate.clone(),
        keeper: node.keeper.clone(),
        engines: node.engines.clone(),
    };
    let administration = ReplicaAdministration {
        gate: gate.clone(),
        management: node.management.clone(),
        keeper: node.keeper.clone(),
        port: node.config.port,
    };
    let members = MembersService {
        gate: gate.clone(),
        management: node.management.clone(),
        operations: node.operations.clone(),
        engines: node.engines.clone(),
    };
    let preflight = PreflightService {
        gate: gate.clone(),
        preflight: Preflight {
            roots: Roots::default(),
            scm: node.scm.clone(),
            bdev: node.bdev.clone(),
            state_dir: node.config.state_dir.clone(),
        },
        config: node.config.clone(),
        keys: node.keys.clone(),
    };
    Routes::new(CtlSvcServer::new(ctl(node, gate.clone(), scanner)))
        .add_service(MgmtSvcServer::new(mgmt(node, gate)))
        .add_service(StorageServer::new(storage))
        .add_service(PrepareServer::new(prepare))
        .add_service(PmemServer::new(pmem))
        .add_service(HostServer::new(host))
        .add_service(HardwareServer::new(hardware))
        .add_service(MembersServer::new(members))
        .add_service(
            ReplicaServer::new(replica)
                .max_decoding_message_size(MAX_MESSAGE)
                .max_encoding_message_size(MAX_MESSAGE),
        )
        .add_service(ManagementServiceServer::new(administration))
        .add_service(PreflightServer::new(preflight))
}

fn ctl(node: &Node, gate: Gate, scanner: Scanner) -> CtlService {
    CtlService {
        gate,
        scanner,
        format: node.format.clone(),
        engines: node.engines.clone(),
        providers: providers(&node.config),
        log_settings: node.config.engines.iter().map(LogSettings::of).collect(),
    }
}

fn scanner(node: &Node) -> Scanner {
    Scanner::new(node.scm.clone(), node.bdev.clone(), scan_targets(node))
}

fn mgmt(node: &Node, gate: Gate) -> MgmtService {
    MgmtService {
        gate,
        system: node.config.name.clone(),
        management: node.management.clone(),
        keeper: node.keeper.clone(),
        operations: node.operations.clone(),
        attach: AttachHints::of(&node.config, &node.network),
    }
}

/// Providers of the configuration, each once, in the order of the engines.
fn providers(config: &ServerConfig) -> Vec<String> {
    let mut providers: Vec<String> = Vec::new();
    for engine in &config.engines {
        if !providers.contains(&engine.fabric.provider) {
            providers.push(engine.fabric.provider.clone());
        }
    }
    providers
}

fn scan_targets(node: &Node) -> Vec<ScanTarget> {
    let configured = node.config.engines.iter();
    let found = configured.filter_map(|engine| {
        let target = node.format.targets().engine(engine.index)?;
        Some(ScanTarget::of(engine, target))
    });
    found.collect()
}
