//! Whom to ask next, and when, after a management request failed (contract 1.9).
//!
//! Pure: errors, a jitter and the time so far in, a decision out. Driven by `management`.

use std::time::Duration;

use super::host_list::HostAddr;
use crate::wire::CallError;

/// Base of the growing pause between tries.
const BASE: Duration = Duration::from_millis(250);
/// Unit of the random part of the pause.
const JITTER_UNIT: Duration = Duration::from_millis(500);
/// Number of values the random part can take, from 0.
pub(crate) const JITTER_STEPS: u32 = 7;
/// The try from which the pause grows no further.
const LAST_GROWING_TRY: u32 = 7;

/// How long a system may be without a leader before an administrator is told so: longer than an election, also one that
/// has to be repeated, takes.
pub(crate) const LEADERLESS: Duration = Duration::from_secs(12);

/// What a kind of request thinks of an error, before and beside the common rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reaction {
    /// Nothing special: the common rules decide.
    Common,
    /// Return the error at once, whatever the common rules say.
    Fail,
    /// Worth another try from the start list, if no common rule knows better.
    Retryable,
}

/// How one kind of request is tried again.
#[derive(Clone, Copy)]
pub(crate) struct Policy {
    /// What this kind of request thinks of an error.
    pub reaction: fn(&CallError) -> Reaction,
    /// Time for the request with all its tries.
    pub limit: Duration,
    /// How long it waits while everybody who answers knows of no leader; `None` for as long as the request may take.
    pub leaderless: Option<Duration>,
}

impl Policy {
    /// The common rules only, in the time of stock clients.
    pub(crate) const COMMON: Self = Self {
        reaction: |_| Reaction::Common,
        limit: Duration::from_secs(300),
        leaderless: Some(LEADERLESS),
    };

    /// The common rules, for what a server answers from memory: one that hangs is given up sooner.
    pub(crate) const LOOK_UP: Self = Self { limit: Duration::from_secs(60), ..Self::COMMON };

    /// A query that should say at once what it found: a management service that is not there yet is an answer.
    pub(crate) const ANSWER_AT_ONCE: Self = Self {
        reaction: |error| if error.is_not_ready() { Reaction::Fail } else { Reaction::Common },
        ..Self::LOOK_UP
    };
}

/// What to do after a failed try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// Ask these hosts after a pause.
    Again {
        /// The hosts.
        hosts: Vec<HostAddr>,
        /// The pause.
        pause: Duration,
    },
    /// Give the error to the caller.
    GiveUp,
    /// Nobody has known of a leader for too long.
    NoLeader,
}

/// The progress of one request.
pub(crate) struct Retry {
    start: Vec<HostAddr>,
    current: Vec<HostAddr>,
    policy: Policy,
    default_port: u16,
    retries: u32,
    /// When the first of the tries began that found no leader, if the last ones did.
    leaderless_since: Option<Duration>,
}

impl Retry {
    /// A request that first asks `start`; addresses in answers that lack a port get `default_port`.
    pub(crate) fn new(start: Vec<HostAddr>, default_port: u16, policy: Policy) -> Self {
        Self {
            current: start.clone(),
            start,
            policy,
            default_port,
            retries: 0,
            leaderless_since: None,
        }
    }

    /// The hosts to ask now.
    pub(crate) fn hosts(&self) -> &[HostAddr] {
        &self.current
    }

    /// How long a host that says nothing is waited for once another one has said that there is no leader.
    pub(crate) fn leaderless_patience(&self) -> Option<Duration> {
        self.policy.leaderless
    }

    /// Decides after a try ended with `error`; `jitter` is below [`JITTER_STEPS`]. The try began `began` after the request did
    /// and ended at `now`.
    pub(crate) fn after(
        &mut self,
        error: &CallError,
        jitter: u32,
        began: Duration,
        now: Duration,
    ) -> Next {
        let Some(hosts) = self.next_hosts(error) else {
            return Next::GiveUp;
        };
        let left = match self.patience_left(error, began, now) {
            Some(left) if left.is_zero() => return Next::NoLeader,
            left => left.unwrap_or(Duration::MAX),
        };
        self.current.clone_from(&hosts);
        let pause = back_off(self.retries, jitter).min(left);
        self.retries += 1;
        Next::Again { hosts, pause }
    }

    /// What is left of the patience with a system without a leader. Silence and a host that is no replica say nothing about
    /// leaders, everything else does.
    fn patience_left(
        &mut self,
        error: &CallError,
        began: Duration,
        now: Duration,
    ) -> Option<Duration> {
        let patience = self.policy.leaderless?;
        if knows_no_leader(error) {
            self.leaderless_since.get_or_insert(began);
        } else if !is_silence(error) && !matches!(error, CallError::NotReplica { .. }) {
            self.leaderless_since = None;
        }
        Some(patience.saturating_sub(now.saturating_sub(self.leaderless_since?)))
    }

    fn next_hosts(&self, error: &CallError) -> Option<Vec<HostAddr>> {
        let reaction = (self.policy.reaction)(error);
        if reaction == Reaction::Fail {
            return None;
        }
        match error {
            CallError::NotLeader { hint, replicas } => {
                let hinted = self.addresses(std::slice::from_ref(hint));
                Some(if hinted.is_empty() { self.addresses_or_current(replicas) } else { hinted })
            }
            CallError::NotReplica { replicas } => Some(self.addresses_or_current(replicas)),
            // A hint may name a leader that has just died: those who gave it know better soon.
            error if self.current != self.start && is_silence(error) => Some(self.start.clone()),
            CallError::DeadlineExceeded(_) => Some(self.current.clone()),
            CallError::Fault(fault)
                if fault.code == crate::fault::code::CLIENT_CONNECTION_TIMED_OUT =>
            {
                Some(self.current.clone())
            }
            CallError::Unimplemented(_) => None,
            _ if reaction == Reaction::Retryable => Some(self.start.clone()),
            error if error.is_unavailable() => Some(self.current.clone()),
            _ => None,
        }
    }

    fn addresses_or_current(&self, replicas: &[String]) -> Vec<HostAddr> {
        let named = self.addresses(replicas);
        if named.is_empty() { self.current.clone() } else { named }
    }

    /// The addresses that can be read; a host that sends nonsense does not end the request.
    fn addresses(&self, texts: &[String]) -> Vec<HostAddr> {
        let parsed = texts.iter().filter_map(|text| HostAddr::parse(text).ok());
        parsed.map(|host| host.or_port(self.default_port)).collect()
    }
}

/// Whether a replica says that it knows of no leader.
pub(crate) fn knows_no_leader(error: &CallError) -> bool {
    matches!(error, CallError::NotLeader { hint, .. } if hint.is_empty())
}

/// Whether a host could not be reached or did not answer.
fn is_silence(error: &CallError) -> bool {
    error.is_connection_failure() || matches!(error, CallError::DeadlineExceeded(_))
}

/// The pause before retry `number`, counted from 0: none, then 250, 250, 500 ms and so on up to 8 s, each with a
/// random part of up to 3 s.
fn back_off(number: u32, jitter: u32) -> Duration {
    if number == 0 {
        return Duration::ZERO;
    }
    let doublings = number.min(LAST_GROWING_TRY).saturating_sub(2);
    BASE * 2u32.pow(doublings) + JITTER_UNIT * (jitter % JITTER_STEPS)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Next, Policy, Reaction, Retry, back_off};
    use crate::client::HostAddr;
    use crate::fault::{Der, Fault, code};
    use crate::wire::{CallError, NotReady};

    fn hosts(names: &[&str]) -> Vec<HostAddr> {
        names.iter().map(|name| HostAddr::parse(name).unwrap().or_port(10001)).collect()
    }

    fn after_first(error: &CallError, policy: Policy) -> Option<Vec<HostAddr>> {
        let mut retry = Retry::new(hosts(&["a", "b"]), 10001, policy);
        match retry.after(error, 0, Duration::ZERO, Duration::ZERO) {
            Next::Again { hosts, pause } => {
                assert_eq!(pause, Duration::ZERO);
                assert_eq!(retry.hosts(), hosts);
                Some(hosts)
            }
            Next::GiveUp | Next::NoLeader => None,
        }
    }

    fn not_leader(hint: &str, replicas: &[&str]) -> CallError {
        let replicas = replicas.iter().map(ToString::to_string).collect();
        CallError::NotLeader { hint: hint.to_owned(), replicas }
    }

    fn fault(code: i32) -> CallError {
        CallError::Fault(Fault::new("client", code, "d", "r"))
    }

    /// Rule a: what the kind of request says comes first.
    #[test]
    fn rule_a_the_requests_own_verdict_wins() {
        let fail = Policy { reaction: |_| Reaction::Fail, ..Policy::COMMON };
        assert_eq!(after_first(&not_leader("c:1", &[]), fail), None);
        let unavailable = CallError::from(NotReady::RaftUnavailable);
        assert_eq!(after_first(&unavailable, Policy::ANSWER_AT_ONCE), None);
        let uninitialized = CallError::from(NotReady::Uninitialized);
        assert_eq!(after_first(&uninitialized, Policy::ANSWER_AT_ONCE), None);
    }

    /// Rule b: the hint alone; without one the replicas; without those the same hosts.
    #[test]
    fn rule_b_follows_the_leader_hint() {
        let policy = Policy::COMMON;
        assert_eq!(after_first(&not_leader("c:7", &["d:1"]), policy), Some(hosts(&["c:7"])));
        assert_eq!(
            after_first(&not_leader("", &["d:1", "e"]), policy),
            Some(hosts(&["d:1", "e:10001"]))
        );
        assert_eq!(after_first(&not_leader("", &[]), policy), Some(hosts(&["a", "b"])));
        assert_eq!(after_first(&not_leader("!!", &["d"]), policy), Some(hosts(&["d"])));
    }

    fn next(retry: &mut Retry, error: &CallError, seconds: u64) -> Next {
        let now = Duration::from_secs(seconds);
        retry.after(error, 0, now, now)
    }

    /// A system without a leader is waited for a little longer than an election takes. Dead hosts in between change nothing, a
    /// leader that is named or comes up does, and servers that join wait for as long as it takes.
    #[test]
    fn without_a_leader_patience_ends_soon() {
        let nobody = not_leader("", &["b"]);
        let dead = fault(code::CLIENT_CONNECTION_REFUSED);
        let mut retry = Retry::new(hosts(&["a", "b"]), 10001, Policy::COMMON);
        assert!(matches!(next(&mut retry, &nobody, 1), Next::Again { .. }));
        assert!(matches!(next(&mut retry, &dead, 6), Next::Again { .. }));
        let Next::Again { pause, .. } = next(&mut retry, &nobody, 12) else { panic!("too soon") };
        assert!(pause <= Duration::from_secs(1), "the last try is not later: {pause:?}");
        assert_eq!(next(&mut retry, &nobody, 13), Next::NoLeader);

        for hope in [not_leader("c", &[]), CallError::from(NotReady::SteppingUp)] {
            let mut retry = Retry::new(hosts(&["a"]), 10001, Policy::COMMON);
            assert!(matches!(next(&mut retry, &nobody, 1), Next::Again { .. }));
            assert!(matches!(next(&mut retry, &hope, 10), Next::Again { .. }));
            assert!(matches!(next(&mut retry, &nobody, 15), Next::Again { .. }), "{hope}");
        }
        let patient = Policy { leaderless: None, ..Policy::COMMON };
        let mut retry = Retry::new(hosts(&["a"]), 10001, patient);
        assert!(matches!(next(&mut retry, &nobody, 1), Next::Again { .. }));
        assert!(matches!(next(&mut retry, &nobody, 200), Next::Again { .. }));
    }

    /// A leader that died after it was named is not asked for ever.
    #[test]
    fn a_hint_that_leads_nowhere_ends_where_it_began() {
        let mut retry = Retry::new(hosts(&["a", "b"]), 10001, Policy::COMMON);
        for gone in [
            fault(code::CLIENT_CONNECTION_REFUSED),
            fault(code::CLIENT_CONNECTION_TIMED_OUT),
            CallError::DeadlineExceeded("late".into()),
        ] {
            next(&mut retry, &not_leader("c", &[]), 0);
            assert_eq!(retry.hosts(), hosts(&["c"]));
            assert!(matches!(next(&mut retry, &gone, 0), Next::Again { .. }), "{gone}");
            assert_eq!(retry.hosts(), hosts(&["a", "b"]));
        }
    }

    /// Rule c: the replicas that were named.
    #[test]
    fn rule_c_goes_to_the_replicas() {
        let error = CallError::NotReplica { replicas: vec!["10.0.0.2:10001".into()] };
        assert_eq!(after_first(&error, Policy::COMMON), Some(hosts(&["10.0.0.2"])));
        let nobody = CallError::NotReplica { replicas: Vec::new() };
        assert_eq!(after_first(&nobody, Policy::COMMON), Some(hosts(&["a", "b"])));
    }

    /// Rule d: one try took too long, the request has time left.
    #[test]
    fn rule_d_repeats_a_try_that_timed_out() {
        let late = CallError::DeadlineExceeded("late".into());
        assert_eq!(after_first(&late, Policy::COMMON), Some(hosts(&["a", "b"])));
        let connect = fault(code::CLIENT_CONNECTION_TIMED_OUT);
        assert_eq!(after_first(&connect, Policy::COMMON), Some(hosts(&["a", "b"])));
    }

    /// Rule e comes before rule f: what a host does not have, it will not have.
    #[test]
    fn rule_e_never_repeats_what_is_not_there() {
        let keen = Policy { reaction: |_| Reaction::Retryable, ..Policy::COMMON };
        assert_eq!(after_first(&CallError::Unimplemented("x".into()), keen), None);
    }

    /// Rule f: back to the start list.
    #[test]
    fn rule_f_returns_to_the_start_list() {
        let policy = Policy {
            reaction: |error| match error {
                CallError::Der(_) => Reaction::Retryable,
                _ => Reaction::Common,
            },
            ..Policy::COMMON
        };
        let mut retry = Retry::new(hosts(&["a", "b"]), 10001, policy);
        next(&mut retry, &not_leader("c", &[]), 0);
        assert_eq!(retry.hosts(), hosts(&["c"]));
        next(&mut retry, &CallError::Der(Der(-1013)), 0);
        assert_eq!(retry.hosts(), hosts(&["a", "b"]));
    }

    /// Rule g: a service that is coming up is asked again.
    #[test]
    fn rule_g_waits_for_the_service() {
        for error in [
            CallError::from(NotReady::RaftUnavailable),
            CallError::from(NotReady::SteppingUp),
            fault(code::SERVER_DATA_PLANE_NOT_STARTED),
        ] {
            assert_eq!(after_first(&error, Policy::COMMON), Some(hosts(&["a", "b"])), "{error}");
        }
    }

    /// Rule h: everything else is the caller's.
    #[test]
    fn rule_h_returns_everything_else() {
        for error in [
            CallError::from(NotReady::Uninitialized),
            CallError::text("no"),
            CallError::Der(Der(-1013)),
            fault(code::SERVER_WRONG_SYSTEM),
            fault(code::CLIENT_CONNECTION_REFUSED),
        ] {
            assert_eq!(after_first(&error, Policy::COMMON), None, "{error}");
        }
    }

    /// Contract 1.9, item 4.
    #[test]
    fn pauses_grow_to_eight_seconds() {
        let millis = |number| back_off(number, 0).as_millis();
        let pauses: Vec<u128> = (0..10).map(millis).collect();
        assert_eq!(pauses, [0, 250, 250, 500, 1000, 2000, 4000, 8000, 8000, 8000]);
        assert_eq!(back_off(3, 6), Duration::from_millis(3500));
        assert_eq!(back_off(0, 6), Duration::ZERO);
    }
}
