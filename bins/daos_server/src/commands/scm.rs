//! `daos_server scm prepare|set-interleaved|reset|scan`: words into a request, a question, an outcome into lines
//! (R113, R114, R133-R137).

use std::io::{BufRead, Write};

use anyhow::{Context, Result};
use daos_control::Fault;
use daos_control::config::Surroundings;
use daos_control::prepare::{PmemAsk, PmemPrepared, plan_pmem, provision_pmem};
use daos_control::server::providers_of_this_host;

use super::{failure_data, print};
use crate::cli::{Global, Prepare, Scm};

/// How often one command looks anew. Once is enough, unless somebody else disables regions meanwhile.
const MOST_TURNS: u32 = 3;

/// Runs one of the commands.
pub fn run(global: &Global, command: &Scm) -> Result<()> {
    let (ask, force) = match command {
        Scm::Scan => return super::storage::scan_scm(global),
        Scm::Prepare { sockets, namespaces, force } => {
            (PmemAsk::Prepare { socket: sockets.socket, namespaces: *namespaces }, *force)
        }
        Scm::SetInterleaved { sockets, force } => {
            (PmemAsk::SetInterleaved { socket: sockets.socket }, *force)
        }
        Scm::Reset { sockets, memory_mode, force } => {
            (PmemAsk::Reset { socket: sockets.socket, memory_mode: *memory_mode }, *force)
        }
    };
    let done = ask_and_do(global, ask, force);
    if global.json {
        let failed = done.as_ref().err().and_then(|error| error.downcast_ref::<Fault>());
        let data = done.as_ref().ok().map(PmemPrepared::data).or(failed.map(failure_data));
        data.map_or(Ok(()), |data| print(&format!("{data:#}\n")))?;
    }
    done.map(drop)
}

/// The part of `storage prepare` that is about persistent memory.
///
/// # Errors
/// As [`ask_and_do`].
pub fn of_storage_prepare(global: &Global, options: &Prepare) -> Result<PmemPrepared> {
    let ask = match options.reset {
        true => PmemAsk::Reset { socket: None, memory_mode: false },
        false => PmemAsk::Prepare { socket: None, namespaces: options.scm_namespaces },
    };
    ask_and_do(global, ask, options.force)
}

/// Plans, asks where something is lost, does it, and tells people; what it was, for programs.
///
/// # Errors
/// A [`Fault`] when persistent memory was not made ready, also when consent was not given.
fn ask_and_do(global: &Global, ask: PmemAsk, force: bool) -> Result<PmemPrepared> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let surroundings = Surroundings::of_this_process().context("looking at this process")?;
    let (scm, _) = providers_of_this_host(&surroundings.default_state_dir);
    let verb = if matches!(ask, PmemAsk::Reset { .. }) { "Resetting" } else { "Preparing" };
    if !global.json {
        print(&format!("{verb} locally-attached SCM...\n"))?;
    }
    // A line before each step, which may take minutes. A reader that has gone away stops nothing.
    let progress = |step: &str| {
        if !global.json {
            let _gone = print(&format!("  {step}\n"));
        }
    };
    let mut turns = 0;
    let done = loop {
        turns += 1;
        let plan = runtime.block_on(plan_pmem(&*scm, ask))?;
        if plan.needs_consent() && !force {
            consent(&plan.text(), std::io::stdin().lock(), std::io::stderr())?;
        }
        let done = runtime.block_on(provision_pmem(&*scm, plan, progress))?;
        // What a disabled region hid shows now, and is planned and asked about like all else.
        if !done.again() || turns == MOST_TURNS {
            break done;
        }
    };
    if !global.json {
        print(&done.text())?;
    }
    Ok(done)
}

/// Shows what is lost and asks until the answer is yes or no. No answer is no (R134).
fn consent(plan: &str, mut answers: impl BufRead, mut errors: impl Write) -> Result<()> {
    writeln!(errors, "{plan}WARNING: the above cannot be undone.")
        .context("the plan cannot be shown")?;
    loop {
        write!(errors, "Are you sure you want to continue? (yes/no) ")?;
        errors.flush()?;
        let mut line = String::new();
        if answers.read_line(&mut line)? == 0 {
            break;
        }
        match line.trim().to_ascii_lowercase().as_str() {
            "yes" | "y" => return Ok(()),
            "no" | "n" => break,
            _ => {}
        }
    }
    let fault = Fault::new(
        "server",
        daos_control::fault::code::CLIENT_NOT_CONFIRMED,
        "consent not given, nothing was changed",
        "answer yes when asked, or give --force",
    );
    Err(fault.into())
}

#[cfg(test)]
mod tests {
    use super::consent;

    fn asked(answers: &str) -> (bool, String) {
        let mut shown = Vec::new();
        let given = consent("  LOST: all\n", answers.as_bytes(), &mut shown).is_ok();
        (given, String::from_utf8(shown).expect("text"))
    }

    #[test]
    fn r134_only_yes_goes_on_and_no_answer_is_no() {
        for (answers, given, questions) in [
            ("yes\n", true, 1),
            ("Y\n", true, 1),
            ("no\n", false, 1),
            ("", false, 1),
            ("maybe\n\nyes please\nyes\n", true, 4),
            ("what\n", false, 2),
        ] {
            let (agreed, shown) = asked(answers);
            assert_eq!(agreed, given, "{answers:?}");
            assert_eq!(shown.matches("(yes/no)").count(), questions, "{answers:?}");
            assert!(shown.starts_with("  LOST: all\n"), "{shown}");
        }
        let refused = consent("", "no\n".as_bytes(), Vec::new()).expect_err("no");
        assert!(refused.to_string().contains("consent not given"), "{refused}");
    }
}
