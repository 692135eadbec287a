//! `mgmt.MgmtSvc`: the system. Handlers only; the work is in the membership service and in `system_ops`.

use std::sync::Arc;
use std::time::Duration;

use daos_membership::{
    AdminExcludedRanks, ExcludeAction, JoinState, MembershipHandle, Rank, StateMask,
};
use daos_proto::mgmt::mgmt_svc_server::MgmtSvc;
use daos_proto::shared::{CheckReportReq, CheckReportResp, ClusterEventReq, ClusterEventResp};
use daos_proto::{chk, mgmt};
use tonic::Request;

use super::absent::absent;
use super::attach::AttachHints;
use super::gate::{Call, Gate, Reply};
use crate::drpc::ras_from_proto;
use crate::fault::{Fault, code};
use crate::management::{Management, ManagementKeeper, ManagementState};
use crate::system_ops::{AdmitJoin, StartRequest, StopRequest, SystemOps, hear, select};
use crate::wire::{CallError, NotReady, from_proto, to_proto};

/// A leader makes sure of it before it answers as one, within this time.
const CONFIRM: Duration = Duration::from_secs(5);

/// Serves the system, as far as this host is its leader or a replica.
#[derive(Debug, Clone)]
pub(super) struct MgmtService {
    pub gate: Gate,
    pub system: String,
    pub management: Management,
    pub keeper: Arc<ManagementKeeper>,
    pub operations: SystemOps,
    pub attach: AttachHints,
}

/// Which members an operation leaves out.
fn excluded(ignore: bool) -> AdminExcludedRanks {
    if ignore { AdminExcludedRanks::Ignore } else { AdminExcludedRanks::Refuse }
}

impl MgmtService {
    /// The service on this replica, or what to tell who asks the wrong host or too early (contract 1.4).
    fn replica(&self) -> Result<MembershipHandle, CallError> {
        match self.management.state() {
            ManagementState::Running(membership) => Ok(membership),
            ManagementState::Uninitialized => Err(NotReady::Uninitialized.into()),
            ManagementState::Failed(fault) => Err(fault.into()),
            ManagementState::Elsewhere => Err(CallError::NotReplica { replicas: self.replicas() }),
        }
    }

    /// The service, when this replica leads.
    async fn leader(&self) -> Result<MembershipHandle, CallError> {
        let membership = self.replica()?;
        membership.confirm_leadership(CONFIRM).await?;
        Ok(membership)
    }

    fn replicas(&self) -> Vec<String> {
        self.management.replicas().addresses.iter().map(ToString::to_string).collect()
    }

    async fn joined(&self, call: Call<mgmt::JoinReq>) -> Result<mgmt::JoinResp, CallError> {
        let membership = self.leader().await?;
        let message = from_proto::join(call.message)?;
        let admit = AdmitJoin::new(self.management.replicas().addresses.first().copied());
        let reply = admit.join(&membership, message, call.from).await?;
        let state = match reply.state {
            JoinState::In => mgmt::join_resp::State::In,
            JoinState::Check => mgmt::join_resp::State::Check,
        };
        Ok(mgmt::JoinResp {
            rank: reply.rank.get(),
            state: state.into(),
            map_version: reply.map_version,
            ..mgmt::JoinResp::default()
        })
    }

    async fn queried(
        &self,
        message: mgmt::SystemQueryReq,
    ) -> Result<mgmt::SystemQueryResp, CallError> {
        let membership = self.replica()?;
        let selection = select(&message.ranks, &message.hosts).await?;
        let found = membership.query(&selection, StateMask::from_bits(message.state_mask))?;
        let healing = membership.get_properties(&["self_heal".to_owned()])?;
        Ok(to_proto::query_response(&found, healing.into_values().next().unwrap_or_default()))
    }

    async fn excluded(
        &self,
        message: mgmt::SystemExcludeReq,
    ) -> Result<mgmt::SystemExcludeResp, CallError> {
        let membership = self.leader().await?;
        let selection = select(&message.ranks, &message.hosts).await?;
        let action = if message.clear { ExcludeAction::Clear } else { ExcludeAction::Exclude };
        let results = membership.exclude(selection, action).await?;
        let members = membership.members();
        let address_of = |rank: Rank| {
            let member = members.iter().find(|member| member.rank == rank);
            member.map(|member| member.address.to_string()).unwrap_or_default()
        };
        Ok(to_proto::exclude_response(&results, action, address_of))
    }

    fn attached(&self, all_ranks: bool) -> Result<mgmt::GetAttachInfoResp, CallError> {
        let membership = self.replica()?;
        let replicas: Vec<_> =
            self.management.replicas().addresses.iter().map(|address| (*address).into()).collect();
        Ok(to_proto::attach_response(
            &membership.group_members()?,
            &replicas,
            all_ranks,
            &self.attach,
            &self.system,
            membership.data_version(),
        ))
    }

    fn led_by(&self) -> Result<mgmt::LeaderQueryResp, CallError> {
        let info = self.replica()?.leader_info();
        Ok(mgmt::LeaderQueryResp {
            current_leader: info.leader.map(|leader| leader.to_string()).unwrap_or_default(),
            replicas: self.replicas(),
            down_replicas: Vec::new(),
        })
    }

    async fn drained(
        &self,
        message: mgmt::SystemDrainReq,
    ) -> Result<mgmt::SystemDrainResp, CallError> {
        let membership = self.leader().await?;
        let selection = select(&message.ranks, &message.hosts).await?;
        membership.existing(&selection)?;
        let verb = if message.reint { "reintegrate" } else { "drain" };
        Err(CallError::Fault(Fault::new(
            "system",
            code::SYSTEM_NO_POOLS,
            format!("there is no pool in this system, so there is nothing to {verb}"),
            "nothing has to be done for these ranks",
        )))
    }
}

#[tonic::async_trait]
impl MgmtSvc for MgmtService {
    async fn join(&self, request: Request<mgmt::JoinReq>) -> Reply<mgmt::JoinResp> {
        self.gate.serve(request, |call| self.joined(call)).await
    }

    async fn cluster_event(&self, request: Request<ClusterEventReq>) -> Reply<ClusterEventResp> {
        self.gate
            .serve(request, |call| async move {
                let membership = self.leader().await?;
                let sequence = call.message.sequence;
                if let Some(event) = call.message.event {
                    hear(&membership, &ras_from_proto(event)).await?;
                }
                Ok(ClusterEventResp { sequence, status: 0 })
            })
            .await
    }

    async fn leader_query(
        &self,
        request: Request<mgmt::LeaderQueryReq>,
    ) -> Reply<mgmt::LeaderQueryResp> {
        self.gate.serve(request, |_| async move { self.led_by() }).await
    }

    async fn get_attach_info(
        &self,
        request: Request<mgmt::GetAttachInfoReq>,
    ) -> Reply<mgmt::GetAttachInfoResp> {
        self.gate.serve(request, |call| async move { self.attached(call.message.all_ranks) }).await
    }

    async fn list_pools(&self, request: Request<mgmt::ListPoolsReq>) -> Reply<mgmt::ListPoolsResp> {
        self.gate
            .serve(request, |_| async move {
                let data_version = self.replica()?.data_version();
                Ok(mgmt::ListPoolsResp { data_version, ..mgmt::ListPoolsResp::default() })
            })
            .await
    }

    async fn system_query(
        &self,
        request: Request<mgmt::SystemQueryReq>,
    ) -> Reply<mgmt::SystemQueryResp> {
        self.gate.serve(request, |call| self.queried(call.message)).await
    }

    async fn system_stop(
        &self,
        request: Request<mgmt::SystemStopReq>,
    ) -> Reply<mgmt::SystemStopResp> {
        self.gate
            .serve(request, |Call { message, .. }| async move {
                let membership = self.leader().await?;
                let selection = select(&message.ranks, &message.hosts).await?;
                let excluded = excluded(message.ignore_admin_excluded);
                let wanted = StopRequest { selection, force: message.force, excluded };
                Ok(to_proto::stop_response(&self.operations.stop(membership, wanted).await?))
            })
            .await
    }

    async fn system_start(
        &self,
        request: Request<mgmt::SystemStartReq>,
    ) -> Reply<mgmt::SystemStartResp> {
        self.gate
            .serve(request, |Call { message, .. }| async move {
                let membership = self.leader().await?;
                let selection = select(&message.ranks, &message.hosts).await?;
                let excluded = excluded(message.ignore_admin_excluded);
                let wanted = StartRequest { selection, check_mode: message.check_mode, excluded };
                Ok(to_proto::start_response(&self.operations.start(membership, wanted).await?))
            })
            .await
    }

    async fn system_exclude(
        &self,
        request: Request<mgmt::SystemExcludeReq>,
    ) -> Reply<mgmt::SystemExcludeResp> {
        self.gate.serve(request, |call| self.excluded(call.message)).await
    }

    async fn system_drain(
        &self,
        request: Request<mgmt::SystemDrainReq>,
    ) -> Reply<mgmt::SystemDrainResp> {
        self.gate.serve(request, |call| self.drained(call.message)).await
    }

    async fn system_erase(
        &self,
        request: Request<mgmt::SystemEraseReq>,
    ) -> Reply<mgmt::SystemEraseResp> {
        self.gate
            .serve(request, |_| async move {
                let membership = self.leader().await?;
                let report = self.operations.erase(membership, Arc::clone(&self.keeper)).await?;
                let results = report.results.iter().map(to_proto::rank_result).collect();
                Ok(mgmt::SystemEraseResp { results })
            })
            .await
    }

    async fn system_set_attr(
        &self,
        request: Request<mgmt::SystemSetAttrReq>,
    ) -> Reply<mgmt::DaosResp> {
        self.gate
            .serve(request, |Call { message, .. }| async move {
                let values = from_proto::bounded_map("attributes", message.attributes)?;
                self.leader().await?.set_attributes(values).await?;
                Ok(mgmt::DaosResp { status: 0 })
            })
            .await
    }

    async fn system_get_attr(
        &self,
        request: Request<mgmt::SystemGetAttrReq>,
    ) -> Reply<mgmt::SystemGetAttrResp> {
        self.gate
            .serve(request, |call| async move {
                let attributes = self.replica()?.get_attributes(&call.message.keys)?;
                Ok(mgmt::SystemGetAttrResp { attributes })
            })
            .await
    }

    async fn system_set_prop(
        &self,
        request: Request<mgmt::SystemSetPropReq>,
    ) -> Reply<mgmt::DaosResp> {
        self.gate
            .serve(request, |Call { message, .. }| async move {
                let values = from_proto::bounded_map("properties", message.properties)?;
                self.leader().await?.set_properties(values).await?;
                Ok(mgmt::DaosResp { status: 0 })
            })
            .await
    }

    async fn system_get_prop(
        &self,
        request: Request<mgmt::SystemGetPropReq>,
    ) -> Reply<mgmt::SystemGetPropResp> {
        self.gate
            .serve(request, |call| async move {
                let properties = self.replica()?.get_properties(&call.message.keys)?;
                Ok(mgmt::SystemGetPropResp { properties })
            })
            .await
    }

    absent! {
        pool_create(mgmt::PoolCreateReq) -> mgmt::PoolCreateResp;
        pool_destroy(mgmt::PoolDestroyReq) -> mgmt::PoolDestroyResp;
        pool_evict(mgmt::PoolEvictReq) -> mgmt::PoolEvictResp;
        pool_exclude(mgmt::PoolExcludeReq) -> mgmt::PoolExcludeResp;
        pool_drain(mgmt::PoolDrainReq) -> mgmt::PoolDrainResp;
        pool_extend(mgmt::PoolExtendReq) -> mgmt::PoolExtendResp;
        pool_reintegrate(mgmt::PoolReintReq) -> mgmt::PoolReintResp;
        pool_query(mgmt::PoolQueryReq) -> mgmt::PoolQueryResp;
        pool_query_target(mgmt::PoolQueryTargetReq) -> mgmt::PoolQueryTargetResp;
        pool_set_prop(mgmt::PoolSetPropReq) -> mgmt::PoolSetPropResp;
        pool_get_prop(mgmt::PoolGetPropReq) -> mgmt::PoolGetPropResp;
        pool_get_acl(mgmt::GetAclReq) -> mgmt::AclResp;
        pool_overwrite_acl(mgmt::ModifyAclReq) -> mgmt::AclResp;
        pool_update_acl(mgmt::ModifyAclReq) -> mgmt::AclResp;
        pool_delete_acl(mgmt::DeleteAclReq) -> mgmt::AclResp;
        pool_upgrade(mgmt::PoolUpgradeReq) -> mgmt::DaosResp;
        pool_rebuild_start(mgmt::PoolRebuildStartReq) -> mgmt::DaosResp;
        pool_rebuild_stop(mgmt::PoolRebuildStopReq) -> mgmt::DaosResp;
        pool_self_heal_eval(mgmt::PoolSelfHealEvalReq) -> mgmt::DaosResp;
        list_containers(mgmt::ListContReq) -> mgmt::ListContResp;
        cont_set_owner(mgmt::ContSetOwnerReq) -> mgmt::DaosResp;
        system_rebuild_manage(mgmt::SystemRebuildManageReq) -> mgmt::SystemRebuildManageResp;
        system_self_heal_eval(mgmt::SystemSelfHealEvalReq) -> mgmt::DaosResp;
        system_cleanup(mgmt::SystemCleanupReq) -> mgmt::SystemCleanupResp;
        system_check_enable(mgmt::CheckEnableReq) -> mgmt::DaosResp;
        system_check_disable(mgmt::CheckDisableReq) -> mgmt::DaosResp;
        system_check_start(mgmt::CheckStartReq) -> mgmt::CheckStartResp;
        system_check_stop(mgmt::CheckStopReq) -> mgmt::CheckStopResp;
        system_check_query(mgmt::CheckQueryReq) -> mgmt::CheckQueryResp;
        system_check_set_policy(mgmt::CheckSetPolicyReq) -> mgmt::DaosResp;
        system_check_get_policy(mgmt::CheckGetPolicyReq) -> mgmt::CheckGetPolicyResp;
        system_check_repair(mgmt::CheckActReq) -> mgmt::CheckActResp;
        system_check_engine_report(CheckReportReq) -> CheckReportResp;
        fault_inject_report(chk::CheckReport) -> mgmt::DaosResp;
        fault_inject_pool_fault(chk::Fault) -> mgmt::DaosResp;
        fault_inject_mgmt_pool_fault(chk::Fault) -> mgmt::DaosResp;
    }
}
