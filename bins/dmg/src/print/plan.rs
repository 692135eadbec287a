//! What a format would do, for people: the dry run, and the list of losses that must be agreed to.

use daos_control::client::{
    DevicePlan, EnginePlan, EngineVerdict, FormatPlan, FormatPreview, FormatPreviews,
};

use super::format::with_reason;
use super::hosts::{HostNames, group_equal};
use super::table::{WIDTH, banner, one_line, wrapped};

const INDENT: usize = 2;

/// The plan of each group of hosts with equal plans: device, identity, what is on it, what will happen.
pub fn plans(previews: &FormatPreviews, names: HostNames) -> String {
    let blocks = previews.hosts.answers.iter().filter_map(|(host, preview)| match preview {
        FormatPreview::Plan(plan) => Some((host, plan_text(plan))),
        FormatPreview::Unplanned => None,
    });
    let groups = group_equal(blocks, Clone::clone);
    groups
        .into_iter()
        .map(|(hosts, text)| format!("{}{text}\n", banner(&names.set(&hosts), 0)))
        .collect()
}

fn plan_text(plan: &FormatPlan) -> String {
    if plan.engines.is_empty() {
        return "No engine is configured: nothing to format.\n".to_owned();
    }
    let engines: String = plan.engines.iter().map(engine_text).collect();
    let verdict = match (plan.digest.is_empty(), plan.destroys) {
        (true, _) => "Nothing would be done.",
        (false, true) => "This destroys what is listed above.",
        (false, false) => "Nothing is destroyed.",
    };
    format!("{engines}{verdict}\n")
}

fn engine_text(engine: &EnginePlan) -> String {
    let index = engine.index;
    let mut out = match &engine.verdict {
        EngineVerdict::Format if engine.devices.iter().any(|device| device.refused.is_some()) => {
            format!("Engine {index}: would be formatted in part\n")
        }
        EngineVerdict::Format => format!("Engine {index}: would be formatted\n"),
        EngineVerdict::AlreadyFormatted(_) => {
            format!("Engine {index}: is formatted already, left alone\n")
        }
        EngineVerdict::Refused(fault) => {
            let refused = format!("Engine {index}: cannot be formatted: {}", with_reason(fault));
            wrapped("", &refused, INDENT, WIDTH)
                + &wrapped("  Remedy: ", &fault.resolution, INDENT + 8, WIDTH)
        }
    };
    for device in &engine.devices {
        out.push_str(&device_text(engine, device));
    }
    if engine.system_lost {
        out.push_str(&format!("{:INDENT$}The system database lies here and goes with it.\n", ""));
    }
    out
}

/// A device, and below it what it is, what is on it and every step, one below the other.
fn device_text(engine: &EnginePlan, device: &DevicePlan) -> String {
    let mut out =
        format!("{:INDENT$}{} ({})\n", "", one_line(&device.device), device.medium.as_str());
    let mut field = |name: &str, text: &str| {
        out.push_str(&wrapped(&format!("{:INDENT$}  {name:<10}", ""), text, INDENT + 12, WIDTH));
    };
    if !device.identity.is_empty() {
        field("Identity", &device.identity);
    }
    field("Holds", if device.content.is_empty() { "nothing" } else { &device.content });
    match &device.refused {
        Some(fault) => {
            field("Refused", &with_reason(fault));
            if fault.has_resolution() {
                field("Remedy", &fault.resolution);
            }
        }
        None if engine.verdict != EngineVerdict::Format || device.steps.is_empty() => {
            field("Steps", "none");
        }
        None => {
            for (number, step) in device.steps.iter().enumerate() {
                field(if number == 0 { "Steps" } else { "" }, step);
            }
        }
    }
    out
}

/// Everything that would be lost, one line each, by groups of hosts.
pub fn losses(previews: &FormatPreviews, names: HostNames) -> String {
    let lists = previews.hosts.answers.iter().map(|(host, preview)| (host, host_losses(preview)));
    let lossy = lists.filter(|(_, lines)| !lines.is_empty());
    let mut out = String::from("Formatting destroys:\n");
    for (hosts, lines) in group_equal(lossy, |lines| lines.join("\n")) {
        for line in lines {
            out.push_str(&format!("  {}: {line}\n", names.set(&hosts)));
        }
    }
    out
}

fn host_losses(preview: &FormatPreview) -> Vec<String> {
    let FormatPreview::Plan(plan) = preview else {
        return vec![
            "whatever is on the configured devices (this server cannot show a plan)".to_owned(),
        ];
    };
    let mut lines = Vec::new();
    for engine in plan.engines.iter().filter(|engine| engine.verdict == EngineVerdict::Format) {
        for device in engine.devices.iter().filter(|device| device.destroys) {
            let identity = if device.identity.is_empty() {
                String::new()
            } else {
                format!(" [{}]", device.identity)
            };
            let content = if device.content.is_empty() { "its content" } else { &device.content };
            lines.push(format!("{content} on {}{identity}", device.device));
        }
        if engine.system_lost {
            lines.push(format!(
                "the system and its database, which lies on engine {}",
                engine.index
            ));
        }
    }
    if lines.is_empty() && plan.destroys {
        lines.push("data on the configured devices".to_owned());
    }
    lines
}
