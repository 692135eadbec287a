//! Messages of our own services, `daosx.v1`.

use daos_proto::daosx::v1;

use crate::engine::EngineStatus;
use crate::fault::Fault;
use crate::format::{DevicePlan, EnginePlan, FormatPlan, FormatReport};

/// A fault, with all it says.
#[must_use]
pub fn fault(fault: &Fault) -> v1::Fault {
    v1::Fault {
        domain: fault.domain.to_string(),
        code: fault.code,
        description: fault.description.clone(),
        reason: fault.reason.clone(),
        resolution: fault.resolution.clone(),
    }
}

/// What a format would do.
#[must_use]
pub fn plan_response(plan: &FormatPlan) -> v1::PlanFormatResp {
    v1::PlanFormatResp {
        digest: plan.digest().to_owned(),
        engines: plan.engines.iter().map(engine_plan).collect(),
        destroys: plan.destroys(),
    }
}

fn engine_plan(plan: &EnginePlan) -> v1::EnginePlan {
    v1::EnginePlan {
        index: plan.index,
        verdict: plan.verdict.name().to_owned(),
        fault: plan.verdict.fault().map(fault),
        devices: plan.devices.iter().map(device_plan).collect(),
        system_lost: plan.system_lost,
    }
}

fn device_plan(plan: &DevicePlan) -> v1::DevicePlan {
    v1::DevicePlan {
        medium: plan.medium.name().to_owned(),
        device: plan.device.clone(),
        identity: plan.identity.clone(),
        content: plan.content.clone(),
        steps: plan.steps.clone(),
        destroys: plan.destroys(),
        refused: plan.refused.as_ref().map(fault),
    }
}

/// What came of a format, device by device.
#[must_use]
pub fn apply_response(report: &FormatReport) -> v1::ApplyFormatResp {
    let results = report.rows().map(|row| v1::DeviceResult {
        engine: row.engine,
        medium: row.medium.name().to_owned(),
        device: row.device.clone(),
        outcome: row.outcome.name().to_owned(),
        info: row.outcome.info(),
        fault: row.outcome.fault().map(fault),
        role_bits: row.role_bits.into(),
    });
    v1::ApplyFormatResp { results: results.collect() }
}

/// What one engine is doing.
#[must_use]
pub fn engine_state(status: &EngineStatus, scm_mount: String) -> v1::EngineState {
    v1::EngineState {
        index: status.index,
        state: status.state.name().to_owned(),
        reason: status.state.reason(),
        rank: status.rank.map(daos_membership::Rank::get),
        pid: status.state.pid().unwrap_or(0),
        scm_mount,
    }
}
