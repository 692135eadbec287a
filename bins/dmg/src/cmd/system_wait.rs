//! `system wait`: until the members are as wanted, or the time is over.

use daos_control::Fault;
use daos_control::client::WaitFor;
use daos_control::fault::code;

use super::system_ranks::selection;
use crate::cli::Wait;
use crate::json;
use crate::outcome::{Failure, Outcome};
use crate::session::Session;

pub async fn run(session: &Session, options: Wait) -> Result<Outcome, Failure> {
    let wanted: WaitFor = options.wanted.parse().map_err(Failure::text)?;
    let selection = selection(&options.ranks)?;
    let waited = session.client()?.system_wait(wanted, &selection, options.timeout).await?;
    let response = json::waited(&waited).into();
    let standing = waited.standing.text;
    if waited.standing.met {
        return Ok(Outcome { response, ..Outcome::text(format!("{standing}\n")) });
    }
    let what = format!("not {wanted} within {} s: {standing}", options.timeout.as_secs());
    let remedy =
        "look at 'dmg system query --verbose --not-ok' and 'dmg system events' for what keeps them";
    let fault = Fault::new("client", code::CLIENT_WAIT_TIMED_OUT, what.as_str(), remedy);
    let failure = Failure::text(what).with_remedy_of(Some(fault));
    Ok(Outcome { response, failure: Some(failure), ..Outcome::default() })
}
