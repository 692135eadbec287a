//! The rules themselves. Each says what is wrong in one line.

use std::sync::Mutex;

use super::{Check, Fixture, Foreign};
use crate::plan::{Intent, PlanDigest, PlanFacts, ScmPlan, plan};
use crate::{
    Entries, ScanRequest, ScmError, ScmMounted, ScmObserved, ScmReadiness, SilentObserver,
    StepObserver, Unmounted,
};

/// Every rule, in the order in which they run.
pub const CHECKS: &[Check] = &[
    Check { name: "scan is stable", run: |f| Box::pin(scan_is_stable(f)) },
    Check { name: "observe changes nothing", run: |f| Box::pin(observe_changes_nothing(f)) },
    Check { name: "blank is formatted without loss", run: |f| Box::pin(blank_is_formatted(f)) },
    Check { name: "mounted and empty is adopted", run: |f| Box::pin(empty_is_adopted(f)) },
    Check { name: "formatted is refused", run: |f| Box::pin(formatted_is_refused(f)) },
    Check { name: "unknown files are refused", run: |f| Box::pin(unknown_files_are_refused(f)) },
    Check { name: "own leftovers are adopted", run: |f| Box::pin(leftovers_are_adopted(f)) },
    Check { name: "reformat loses old content", run: |f| Box::pin(reformat_loses_content(f)) },
    Check { name: "foreign data is refused", run: |f| Box::pin(foreign_is_refused(f)) },
    Check { name: "in use is refused with any flag", run: |f| Box::pin(in_use_is_refused(f)) },
    Check { name: "running engine is refused", run: |f| Box::pin(running_is_refused(f)) },
    Check { name: "wrong digest is refused", run: |f| Box::pin(wrong_digest_is_refused(f)) },
    Check { name: "changed world is refused", run: |f| Box::pin(changed_world_is_refused(f)) },
    Check { name: "observer is told before each step", run: |f| Box::pin(steps_are_told(f)) },
    Check { name: "busy mount names its processes", run: |f| Box::pin(busy_names_processes(f)) },
    Check { name: "blank is not mounted", run: |f| Box::pin(blank_is_not_mounted(f)) },
    Check { name: "formatted is mounted again", run: |f| Box::pin(formatted_is_mounted(f)) },
];

type Outcome = Result<(), String>;

async fn observe(fixture: &dyn Fixture) -> Result<ScmObserved, String> {
    fixture.provider().observe(&fixture.target()).await.map_err(|error| format!("observe: {error}"))
}

fn seen() -> PlanFacts {
    PlanFacts { superblock_seen: true, ..PlanFacts::default() }
}

async fn planned(
    fixture: &dyn Fixture,
    intent: Intent,
    facts: &PlanFacts,
) -> Result<Result<ScmPlan, ScmError>, String> {
    Ok(plan(&fixture.target(), &observe(fixture).await?, intent, facts))
}

async fn carry_out(fixture: &dyn Fixture, plan: ScmPlan) -> Result<ScmMounted, ScmError> {
    let digest = plan.digest().clone();
    fixture.provider().format(plan.accept(&digest)?, &SilentObserver).await
}

async fn format(
    fixture: &dyn Fixture,
    intent: Intent,
    facts: &PlanFacts,
) -> Result<ScmMounted, String> {
    let plan = planned(fixture, intent, facts).await?.map_err(|e| format!("plan: {e}"))?;
    carry_out(fixture, plan).await.map_err(|error| format!("format: {error}"))
}

/// Formatted, with the file that makes it so.
async fn with_superblock(fixture: &dyn Fixture) -> Outcome {
    format(fixture, Intent::Plain, &PlanFacts::default()).await?;
    fixture.put_file("superblock");
    Ok(())
}

fn expect_code<T: std::fmt::Debug>(
    what: &str,
    result: Result<T, ScmError>,
    codes: &[i32],
) -> Outcome {
    match result {
        Err(error) if codes.contains(&error.code()) => {
            expect(!error.resolution().is_empty(), "an error without a resolution")
        }
        Err(error) => Err(format!("{what}: expected {codes:?}, got {}: {error}", error.code())),
        Ok(value) => Err(format!("{what}: expected {codes:?}, got {value:?}")),
    }
}

fn expect(holds: bool, otherwise: &str) -> Outcome {
    if holds { Ok(()) } else { Err(otherwise.to_owned()) }
}

fn expect_files(fixture: &dyn Fixture, expected: &[&str]) -> Outcome {
    let files = fixture.files();
    expect(files == expected, &format!("files are {files:?}, expected {expected:?}"))
}

async fn scan_is_stable(fixture: &dyn Fixture) -> Outcome {
    let request = ScanRequest { targets: vec![fixture.target()] };
    let scan = || async { fixture.provider().scan(&request).await.map_err(|e| e.to_string()) };
    expect(scan().await? == scan().await?, "two scans of a blank medium differ")?;
    let mounted = format(fixture, Intent::Plain, &PlanFacts::default()).await?;
    let (first, second) = (scan().await?, scan().await?);
    expect(first == second, "two scans of a formatted medium differ")?;
    let mut shown = first.namespaces.known().iter().filter_map(|each| each.mount.as_ref());
    let usage = shown.rfind(|mount| mount.path == mounted.mount_point);
    let usage = usage.ok_or("the mounted target is not in the scan")?;
    expect(usage.total_bytes > 0 && usage.avail_bytes <= usage.total_bytes, "usage makes no sense")
}

async fn observe_changes_nothing(fixture: &dyn Fixture) -> Outcome {
    let blank = observe(fixture).await?;
    expect(blank == observe(fixture).await?, "two looks at a blank medium differ")?;
    with_superblock(fixture).await?;
    let formatted = observe(fixture).await?;
    expect(formatted == observe(fixture).await?, "two looks at a formatted medium differ")?;
    expect_files(fixture, &["superblock"])
}

async fn blank_is_formatted(fixture: &dyn Fixture) -> Outcome {
    let target = fixture.target();
    let plan = planned(fixture, Intent::Plain, &PlanFacts::default()).await?;
    let plan = plan.map_err(|error| format!("plan: {error}"))?;
    expect(plan.destroys().is_empty(), "a blank medium has nothing to lose")?;
    let (form, text) = (plan.form(), plan.to_string());
    expect(
        text.contains(&target.mount_point().display().to_string()),
        "plan names no mount point",
    )?;
    let mounted = carry_out(fixture, plan).await.map_err(|error| format!("format: {error}"))?;
    expect(mounted.mount_point == target.mount_point(), "mounted somewhere else")?;
    expect(mounted.engine_index == target.engine_index(), "mounted for another engine")?;
    expect(mounted.form == form, "not mounted in the planned form")?;
    let expected = ScmReadiness::Reachable { form, entries: Entries::default() };
    let readiness = observe(fixture).await?.readiness(&target);
    expect(readiness == expected, &format!("{readiness:?} after a format"))?;
    expect_files(fixture, &[])
}

async fn empty_is_adopted(fixture: &dyn Fixture) -> Outcome {
    format(fixture, Intent::Plain, &PlanFacts::default()).await?;
    let before = observe(fixture).await?;
    let plan = planned(fixture, Intent::Plain, &PlanFacts::default()).await?;
    let plan = plan.map_err(|error| format!("plan over an empty mount: {error}"))?;
    expect(plan.destroys().is_empty(), "adopting loses nothing")?;
    expect(!plan.steps().iter().any(crate::ScmStep::is_destructive), "adopting is destructive")?;
    carry_out(fixture, plan).await.map_err(|error| format!("adopt: {error}"))?;
    expect(before == observe(fixture).await?, "adopting changed what was there")
}

async fn formatted_is_refused(fixture: &dyn Fixture) -> Outcome {
    with_superblock(fixture).await?;
    let again = planned(fixture, Intent::Plain, &seen()).await?;
    expect_code("second plain plan", again, &[101])?;
    expect_files(fixture, &["superblock"])
}

async fn unknown_files_are_refused(fixture: &dyn Fixture) -> Outcome {
    format(fixture, Intent::Plain, &PlanFacts::default()).await?;
    fixture.put_file("stranger");
    let again = planned(fixture, Intent::Plain, &PlanFacts::default()).await?;
    let text = again.as_ref().err().map(ToString::to_string).unwrap_or_default();
    expect_code("plain plan over unknown files", again, &[1203])?;
    expect(text.contains("stranger"), "the refusal does not list what is there")
}

async fn leftovers_are_adopted(fixture: &dyn Fixture) -> Outcome {
    format(fixture, Intent::Plain, &PlanFacts::default()).await?;
    fixture.put_file("daos_nvme.conf");
    let leftovers = vec!["daos_nvme.conf".to_owned()];
    let facts = PlanFacts { leftovers, ..PlanFacts::default() };
    format(fixture, Intent::Plain, &facts).await?;
    expect_files(fixture, &["daos_nvme.conf"])
}

async fn reformat_loses_content(fixture: &dyn Fixture) -> Outcome {
    with_superblock(fixture).await?;
    let plan = planned(fixture, Intent::Reformat, &seen()).await?;
    let plan = plan.map_err(|error| format!("plan: {error}"))?;
    expect(!plan.destroys().is_empty(), "the plan does not say what is lost")?;
    carry_out(fixture, plan).await.map_err(|error| format!("reformat: {error}"))?;
    expect_files(fixture, &[])?;
    let readiness = observe(fixture).await?.readiness(&fixture.target());
    let usable =
        matches!(&readiness, ScmReadiness::Reachable { entries, .. } if entries.is_empty());
    expect(usable, &format!("{readiness:?} after a reformat"))
}

async fn foreign_is_refused(fixture: &dyn Fixture) -> Outcome {
    let kind = fixture.put_foreign();
    let plain = planned(fixture, Intent::Plain, &PlanFacts::default()).await?;
    expect_code("plain plan over foreign data", plain, &[101, 104, 1203, 1206])?;
    let forced = planned(fixture, Intent::Reformat, &PlanFacts::default()).await?;
    match kind {
        Foreign::Never => expect_code("reformat of foreign data", forced, &[104, 1203, 1206]),
        Foreign::UntilReformat => {
            let plan = forced.map_err(|error| format!("reformat: {error}"))?;
            expect(!plan.destroys().is_empty(), "the plan does not show the foreign data")?;
            carry_out(fixture, plan).await.map_err(|error| format!("reformat: {error}"))?;
            expect_files(fixture, &[])
        }
    }
}

async fn in_use_is_refused(fixture: &dyn Fixture) -> Outcome {
    let Some(user) = fixture.use_medium() else { return Ok(()) };
    for intent in [Intent::Plain, Intent::Reformat] {
        let plan = planned(fixture, intent, &PlanFacts::default()).await?;
        expect_code("plan over a medium in use", plan, &[103, 104, 1201, 1206])?;
    }
    drop(user);
    format(fixture, Intent::Reformat, &PlanFacts::default()).await.map(drop)
}

async fn running_is_refused(fixture: &dyn Fixture) -> Outcome {
    with_superblock(fixture).await?;
    let running = PlanFacts { engine_running: true, ..seen() };
    let plan = planned(fixture, Intent::Reformat, &running).await?;
    expect_code("reformat under a running engine", plan, &[1204])
}

async fn wrong_digest_is_refused(fixture: &dyn Fixture) -> Outcome {
    let plan = planned(fixture, Intent::Plain, &PlanFacts::default()).await?;
    let plan = plan.map_err(|error| error.to_string())?;
    let same = planned(fixture, Intent::Plain, &PlanFacts::default()).await?;
    let same = same.map_err(|error| error.to_string())?;
    expect(plan.digest() == same.digest(), "two plans of one state have different digests")?;
    let forced = planned(fixture, Intent::Reformat, &PlanFacts::default()).await?;
    let forced = forced.map_err(|error| error.to_string())?;
    expect(plan.digest() != forced.digest(), "the digest does not cover the intent")?;
    let wrong = PlanDigest::from_hex("0".repeat(64));
    expect_code("accepting another digest", plan.accept(&wrong), &[1207])
}

async fn changed_world_is_refused(fixture: &dyn Fixture) -> Outcome {
    with_superblock(fixture).await?;
    let plan = planned(fixture, Intent::Reformat, &seen()).await?;
    let plan = plan.map_err(|error| error.to_string())?;
    fixture.put_file("written since");
    expect_code("format of a changed medium", carry_out(fixture, plan).await, &[1207])?;
    expect_files(fixture, &["superblock", "written since"])
}

/// Remembers each step, and what was there when it was told of the first that destroys.
struct Recorder<'a> {
    fixture: &'a dyn Fixture,
    first_destructive: String,
    steps: Mutex<Vec<String>>,
    intact: Mutex<Option<bool>>,
}

impl StepObserver for Recorder<'_> {
    fn step(&self, step: &str) {
        if step == self.first_destructive {
            let intact = self.fixture.files() == ["superblock"];
            // A device that was unmounted first shows nothing, and still has it all.
            let unmounted = self
                .steps
                .lock()
                .is_ok_and(|steps| steps.iter().any(|step| step.starts_with("unmount")));
            if let Ok(mut slot) = self.intact.lock() {
                *slot = Some(intact || unmounted);
            }
        }
        if let Ok(mut steps) = self.steps.lock() {
            steps.push(step.to_owned());
        }
    }
}

async fn steps_are_told(fixture: &dyn Fixture) -> Outcome {
    with_superblock(fixture).await?;
    let plan = planned(fixture, Intent::Reformat, &seen()).await?;
    let plan = plan.map_err(|error| error.to_string())?;
    let expected: Vec<String> = plan.steps().iter().map(ToString::to_string).collect();
    let destructive = plan.steps().iter().find(|step| step.is_destructive());
    let first_destructive = destructive.ok_or("a reformat without a destructive step")?.to_string();
    let recorder = Recorder {
        fixture,
        first_destructive,
        steps: Mutex::new(Vec::new()),
        intact: Mutex::new(None),
    };
    let digest = plan.digest().clone();
    let accepted = plan.accept(&digest).map_err(|error| error.to_string())?;
    fixture.provider().format(accepted, &recorder).await.map_err(|error| error.to_string())?;
    let told = recorder.steps.into_inner().map_err(|error| error.to_string())?;
    expect(told == expected, &format!("told {told:?}, planned {expected:?}"))?;
    let intact = recorder.intact.into_inner().map_err(|error| error.to_string())?;
    expect(intact == Some(true), "content was gone before the destructive step was told")
}

async fn busy_names_processes(fixture: &dyn Fixture) -> Outcome {
    let (provider, target) = (fixture.provider(), fixture.target());
    with_superblock(fixture).await?;
    let Some(held) = fixture.hold_mount() else {
        let nothing = provider.unmount(&target).await.map_err(|error| error.to_string())?;
        return expect(nothing == Unmounted::WasNotMounted, "something was unmounted");
    };
    let names_it = |result: Result<(), ScmError>| match result {
        Err(ScmError::Busy { holders, .. }) => expect(
            holders.iter().any(|holder| holder.pid == held.pid),
            &format!("pid {} is not among {holders:?}", held.pid),
        ),
        other => Err(format!("expected busy, got {other:?}")),
    };
    names_it(provider.check_unmount(&target).await)?;
    names_it(provider.unmount(&target).await.map(drop))?;
    let plan = planned(fixture, Intent::Reformat, &seen()).await?;
    let plan = plan.map_err(|error| format!("plan: {error}"))?;
    names_it(carry_out(fixture, plan).await.map(drop))?;
    expect_files(fixture, &["superblock"])?;
    drop(held.guard);
    provider.check_unmount(&target).await.map_err(|error| error.to_string())?;
    let done = provider.unmount(&target).await.map_err(|error| error.to_string())?;
    expect(done == Unmounted::Done, "it was mounted")?;
    let again = provider.unmount(&target).await.map_err(|error| error.to_string())?;
    expect(again == Unmounted::WasNotMounted, "it was unmounted before")
}

async fn blank_is_not_mounted(fixture: &dyn Fixture) -> Outcome {
    let mounted = fixture.provider().mount(&fixture.target()).await;
    expect_code("mount of a blank medium", mounted, &[1213])?;
    let kind = fixture.put_foreign();
    let mounted = fixture.provider().mount(&fixture.target()).await;
    // Files in a directory on a tmpfs are there, whoever's they are: nothing would be mounted.
    match (kind, mounted) {
        (Foreign::Never, Ok(_)) => Ok(()),
        (_, mounted) => expect_code("mount of foreign data", mounted, &[101, 104, 1203, 1206]),
    }
}

async fn formatted_is_mounted(fixture: &dyn Fixture) -> Outcome {
    let (provider, target) = (fixture.provider(), fixture.target());
    with_superblock(fixture).await?;
    let there = provider.mount(&target).await.map_err(|error| format!("when there: {error}"))?;
    let unmounted = provider.unmount(&target).await.map_err(|error| error.to_string())?;
    let again = provider.mount(&target).await;
    if unmounted == Unmounted::Done && !fixture.survives_unmount() {
        return expect_code("mount of what is gone", again, &[1213]);
    }
    let again = again.map_err(|error| format!("mount: {error}"))?;
    expect(again.form == there.form, "mounted in another form")?;
    expect_files(fixture, &["superblock"])
}
