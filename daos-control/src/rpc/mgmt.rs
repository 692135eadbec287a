//! `mgmt.MgmtSvc`: the system. Handlers only; the work is in the membership service and in `system_ops`.

use daos_membership::{AdminExcludedRanks, ExcludeAction, JoinState, StateMask};
use daos_proto::mgmt::mgmt_svc_server::MgmtSvc;
use daos_proto::shared::{CheckReportReq, CheckReportResp, ClusterEventReq, ClusterEventResp};
use daos_proto::{chk, mgmt};
use tonic::Request;

use super::absent::absent;
use super::attach::AttachHints;
use super::gate::{Call, Gate, Reply};
use crate::drpc::ras_from_proto;
use crate::fault::{Fault, code};
use crate::management::{Management, ManagementKeeper};
use crate::system_ops::{
    AdmitJoin, LastUsable, StartRequest, StopRequest, SystemOps, hear, select,
};
use crate::wire::{CallError, from_proto, to_proto};

/// Serves the system, as far as this host is its leader or a replica.
#[derive(Debug, Clone)]
pub(super) struct MgmtService {
    pub gate: Gate,
    pub system: String,
    pub management: Management,
    pub keeper: ManagementKeeper,
    pub operations: SystemOps,
    pub attach: AttachHints,
}

/// Which members an operation leaves out.
fn excluded(ignore: bool) -> AdminExcludedRanks {
    if ignore { AdminExcludedRanks::Ignore } else { AdminExcludedRanks::Refuse }
}

impl MgmtService {
    async fn joined(&self, call: Call<mgmt::JoinReq>) -> Result<mgmt::JoinResp, CallError> {
        let membership = self.management.replica()?;
        let message = from_proto::join(call.message)?;
        let first = self.management.replicas().first().copied();
        let admit = AdmitJoin::new(first, &self.operations);
        let reply = match admit.join(&membership, message, call.from).await {
            // What is committed needs no other proof of leadership; a refusal may stand on what is out of date.
            Err(refused) => {
                self.management.leader().await?;
                return Err(refused);
            }
            joined => joined?,
        };
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
        let membership = self.management.replica()?;
        let selection = select(&message.ranks, &message.hosts).await?;
        let found = membership.query(&selection, StateMask::from_bits(message.state_mask))?;
        let healing = membership.get_properties(&["self_heal".to_owned()])?;
        Ok(to_proto::query_response(&found, healing.into_values().next().unwrap_or_default()))
    }

    async fn excluded(
        &self,
        call: Call<mgmt::SystemExcludeReq>,
    ) -> Result<mgmt::SystemExcludeResp, CallError> {
        let who = administrator(&call);
        let message = call.message;
        let membership = self.management.leader().await?.on_behalf_of(who);
        let selection = select(&message.ranks, &message.hosts).await?;
        let action = if message.clear { ExcludeAction::Clear } else { ExcludeAction::Exclude };
        let keep = LastUsable::Keep;
        let reports = self.operations.exclude(membership, selection, action, keep).await?;
        let results = reports.iter().map(to_proto::rank_result).collect();
        Ok(mgmt::SystemExcludeResp { results })
    }

    fn attached(&self, all_ranks: bool) -> Result<mgmt::GetAttachInfoResp, CallError> {
        let membership = self.management.replica()?;
        let replicas: Vec<_> = self.management.replicas().into_iter().map(Into::into).collect();
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
        let info = self.management.replica()?.leader_info();
        Ok(mgmt::LeaderQueryResp {
            current_leader: info.leader.map(|leader| leader.to_string()).unwrap_or_default(),
            replicas: self.management.replica_texts(),
            down_replicas: Vec::new(),
        })
    }

    /// Nothing to do is an error, as with 2.8; ranks that cannot be meant are one before that (contract 6.9).
    async fn drained(
        &self,
        message: mgmt::SystemDrainReq,
    ) -> Result<mgmt::SystemDrainResp, CallError> {
        let membership = self.management.leader().await?;
        let selection = select(&message.ranks, &message.hosts).await?;
        membership.existing(&selection)?;
        membership.usable(&selection, AdminExcludedRanks::Refuse)?;
        let verb = if message.reint { "reintegrate" } else { "drain" };
        Err(CallError::Fault(Fault::new(
            "system",
            code::SYSTEM_NO_POOLS,
            format!("there is no pool in this system, so there is nothing to {verb}"),
            "nothing has to be done for these ranks",
        )))
    }

    /// The handles that a machine has in the pools of the system: none, as long as there are no pools.
    async fn cleaned_up(
        &self,
        message: mgmt::SystemCleanupReq,
    ) -> Result<mgmt::SystemCleanupResp, CallError> {
        if message.machine.trim().is_empty() {
            return Err(CallError::Fault(Fault::new(
                "system",
                code::REQUEST_MALFORMED,
                "a clean-up names no machine",
                "name the machine whose pool handles are to be revoked: dmg system cleanup <machine>",
            )));
        }
        self.management.leader().await?;
        Ok(mgmt::SystemCleanupResp::default())
    }
}

/// Who asks, for the event log.
pub(super) fn administrator<T>(call: &Call<T>) -> String {
    match call.from {
        Some(from) => format!("administrator at {}", from.ip()),
        None => "administrator".to_owned(),
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
                let membership = self.management.leader().await?;
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
                let data_version = self.management.replica()?.data_version();
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
            .serve(request, |call| async move {
                let membership = self.management.leader().await?.on_behalf_of(administrator(&call));
                let message = call.message;
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
            .serve(request, |call| async move {
                let membership = self.management.leader().await?.on_behalf_of(administrator(&call));
                let message = call.message;
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
        self.gate.serve(request, |call| self.excluded(call)).await
    }

    async fn system_drain(
        &self,
        request: Request<mgmt::SystemDrainReq>,
    ) -> Reply<mgmt::SystemDrainResp> {
        self.gate.serve(request, |call| self.drained(call.message)).await
    }

    async fn system_cleanup(
        &self,
        request: Request<mgmt::SystemCleanupReq>,
    ) -> Reply<mgmt::SystemCleanupResp> {
        self.gate.serve(request, |call| self.cleaned_up(call.message)).await
    }

    async fn system_erase(
        &self,
        request: Request<mgmt::SystemEraseReq>,
    ) -> Reply<mgmt::SystemEraseResp> {
        self.gate
            .serve(request, |_| async move {
                let membership = self.management.leader().await?;
                let report = self.operations.erase(membership, self.keeper.clone()).await?;
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
            .serve(request, |call| async move {
                let membership = self.management.leader().await?.on_behalf_of(administrator(&call));
                let values = from_proto::bounded_map("attributes", call.message.attributes)?;
                membership.set_attributes(values).await?;
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
                let attributes = self.management.replica()?.get_attributes(&call.message.keys)?;
                Ok(mgmt::SystemGetAttrResp { attributes })
            })
            .await
    }

    async fn system_set_prop(
        &self,
        request: Request<mgmt::SystemSetPropReq>,
    ) -> Reply<mgmt::DaosResp> {
        self.gate
            .serve(request, |call| async move {
                let membership = self.management.leader().await?.on_behalf_of(administrator(&call));
                let values = from_proto::bounded_map("properties", call.message.properties)?;
                membership.set_properties(values).await?;
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
                let properties = self.management.replica()?.get_properties(&call.message.keys)?;
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
