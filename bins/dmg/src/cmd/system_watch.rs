//! `system query --watch`: the members, shown again with every change.

use std::time::Duration;

use daos_control::client::Changes;
use tokio::time::Instant;

use super::stream::{self, Reader};
use super::system_query;
use crate::cli::Query;

use crate::outcome::{Failure, Outcome};
use crate::session::Session;

/// The members are looked at again after this time even when no change was told.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Shows what a query would, whenever that differs from what was shown before. A query that fails is shown as well, and
/// asked again: the system may be on its way up.
pub async fn run(session: &Session, options: Query) -> Result<Outcome, Failure> {
    let mut changes = Changes::of(&session.client()?);
    let mut shown: Option<String> = None;
    loop {
        let outcome = match system_query::members(session, &options).await {
            Ok(outcome) => outcome,
            Err(failure) => Outcome::failed(failure),
        };
        let text = outcome.to_text(session.as_json());
        if shown.as_ref() != Some(&text) {
            let reader = match session.as_json() {
                true => stream::write(&text)?,
                false => stream::redraw(&text, shown.is_none())?,
            };
            if reader == Reader::Gone {
                return Ok(Outcome::default());
            }
            shown = Some(text);
        }
        changes.next(Instant::now() + LOOK_AGAIN).await;
    }
}
