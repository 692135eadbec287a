use std::sync::Mutex;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::{Retry, ask, first_hosts};
use crate::client::retry::Policy;
use crate::client::{ClientError, HostAddr, HostSet};
use crate::fault::{Fault, code};
use crate::wire::{CallError, NotReady};

const MINUTES: Duration = Duration::from_secs(300);

fn hosts(text: &str) -> Vec<HostAddr> {
    HostSet::parse(text).unwrap().with_ports(10001).into_iter().collect()
}

fn retry(text: &str) -> Retry {
    Retry::new(hosts(text), 10001, Policy::COMMON)
}

fn refused() -> CallError {
    CallError::Fault(Fault::new("client", code::CLIENT_CONNECTION_REFUSED, "refused", ""))
}

/// R167: the caller is sent to the leader, at once, and asks nobody else.
#[tokio::test(start_paused = true)]
async fn a_refused_request_goes_to_the_leader() {
    let asked = Mutex::new(Vec::new());
    let start = Instant::now();
    let answer = ask("test", MINUTES, retry("a,b"), &|_| {}, |host, _| {
        asked.lock().unwrap().push(host.to_string());
        async move {
            match host.host() {
                "leader" => Ok((0, "led")),
                _ => Err(CallError::NotLeader { hint: "leader:7".into(), replicas: Vec::new() }),
            }
        }
    })
    .await;
    assert_eq!(answer.unwrap(), "led");
    assert_eq!(*asked.lock().unwrap(), ["a:10001", "b:10001", "leader:7"]);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// Contract 1.9, item 4: the pauses between tries.
#[tokio::test(start_paused = true)]
async fn a_service_that_comes_up_is_asked_again_with_pauses() {
    let tries = Mutex::new(Vec::new());
    let start = Instant::now();
    let answer = ask("test", MINUTES, retry("a"), &|_| {}, |_, _| {
        let number = {
            let mut tries = tries.lock().unwrap();
            tries.push(start.elapsed());
            tries.len()
        };
        async move {
            match number {
                1..5 => Err(CallError::from(NotReady::RaftUnavailable)),
                _ => Ok((0, number)),
            }
        }
    })
    .await;
    assert_eq!(answer.unwrap(), 5);
    let tries = tries.lock().unwrap().clone();
    let pauses: Vec<u64> = tries.windows(2).map(|w| (w[1] - w[0]).as_millis() as u64).collect();
    assert_eq!(pauses[0], 0);
    for (pause, base) in pauses[1..].iter().zip([250, 250, 500]) {
        let random = pause - base;
        assert!(random <= 3000 && random.is_multiple_of(500), "{pause} of {base}");
    }
}

/// Contract 1.9, item 5: fault 510 names the request and the time it had.
#[tokio::test(start_paused = true)]
async fn the_whole_request_ends_with_its_time() {
    let start = Instant::now();
    let error =
        ask::<(), _, _>("SystemQuery", Duration::from_secs(7), retry("a"), &|_| {}, |_, _| async {
            Err(CallError::from(NotReady::SteppingUp))
        })
        .await
        .unwrap_err();
    assert_eq!(start.elapsed(), Duration::from_secs(7));
    assert_eq!(error.code(), 510);
    assert_eq!(error.to_string(), "SystemQuery request timed out after 7s");
}

/// Contract 1.9, item 2: the newest data wins, whoever was first.
#[tokio::test(start_paused = true)]
async fn the_newest_answer_wins() {
    let answer = ask("test", MINUTES, retry("new,old"), &|_| {}, |host, _| async move {
        match host.host() {
            "new" => {
                sleep(Duration::from_millis(100)).await;
                Ok((8, "new"))
            }
            _ => Ok((7, "old")),
        }
    });
    assert_eq!(answer.await.unwrap(), "new");
}

/// W36: a dead host beside a live one costs at most the grace.
#[tokio::test(start_paused = true)]
async fn a_dead_host_does_not_hold_up_an_answer() {
    let start = Instant::now();
    let answer = ask("test", MINUTES, retry("dead,live"), &|_| {}, |host, deadline| async move {
        if host.host() == "dead" {
            sleep_until(deadline).await;
        }
        Ok((0, host.host().to_owned()))
    });
    assert_eq!(answer.await.unwrap(), "live");
    assert!(start.elapsed() < Duration::from_secs(1));
}

/// A host that cannot be reached does not hide another's word on who leads.
#[tokio::test(start_paused = true)]
async fn a_hint_counts_more_than_a_dead_host() {
    let answer = ask("test", MINUTES, retry("dead,replica"), &|_| {}, |host, _| async move {
        match host.host() {
            "dead" => {
                sleep(Duration::from_millis(10)).await;
                Err(refused())
            }
            "replica" => Err(CallError::NotReplica { replicas: vec!["c:1".into()] }),
            _ => Ok((0, "c")),
        }
    });
    assert_eq!(answer.await.unwrap(), "c");
}

/// Contract 1.9: nobody to be reached is one text, with the cause.
#[tokio::test(start_paused = true)]
async fn nobody_there_is_said_as_such() {
    let error =
        ask::<(), _, _>("test", MINUTES, retry("a"), &|_| {}, |_, _| async { Err(refused()) })
            .await
            .unwrap_err();
    assert!(matches!(error, ClientError::NoManagementService { .. }));
    assert!(error.to_string().starts_with("unable to contact the DAOS Management Service"));
    assert_eq!(error.code(), 506);
}

#[tokio::test]
async fn without_hosts_there_is_nobody_to_ask() {
    let nobody = Retry::new(Vec::new(), 10001, Policy::COMMON);
    let error =
        ask("test", MINUTES, nobody, &|_| {}, |_, _| async { Ok((0, ())) }).await.unwrap_err();
    assert_eq!(error.code(), 503);
}

/// Contract 1.9, item 1: five distinct hosts of the list.
#[test]
fn at_most_five_configured_hosts_are_asked_first() {
    let all = hosts("n[1-20]");
    let mut some = first_hosts(all.clone());
    some.sort();
    some.dedup();
    assert_eq!(some.len(), 5);
    assert!(some.iter().all(|host| all.contains(host)));
    assert_eq!(first_hosts(hosts("a,b")), hosts("a,b"));
}

fn nobody_leads() -> CallError {
    CallError::NotLeader { hint: String::new(), replicas: vec!["dead:10001".into()] }
}

/// No majority: told after little more than an election takes, with a fault that says what to do.
#[tokio::test(start_paused = true)]
async fn a_request_to_a_system_without_a_leader_ends_soon() {
    let start = Instant::now();
    let error = ask::<(), _, _>(
        "SystemSetAttr",
        MINUTES,
        retry("left,dead"),
        &|_| {},
        |host, _| async move {
            match host.host() {
                "dead" => Err(refused()),
                _ => Err(nobody_leads()),
            }
        },
    )
    .await
    .unwrap_err();
    assert!((10..=15).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert!(matches!(error, ClientError::NoLeader { request: "SystemSetAttr", .. }), "{error}");
    assert_eq!(error.code(), code::CLIENT_NO_LEADER);
    assert!(error.resolution().contains("majority"));
}

/// A frozen server beside a replica that knows no leader does not hold the answer up for the time of the whole request.
#[tokio::test(start_paused = true)]
async fn a_host_that_hangs_does_not_hide_that_nobody_leads() {
    let start = Instant::now();
    let error = ask::<(), _, _>(
        "test",
        MINUTES,
        retry("left,hangs"),
        &|_| {},
        |host, deadline| async move {
            if host.host() == "hangs" {
                sleep_until(deadline).await;
            }
            Err(nobody_leads())
        },
    )
    .await
    .unwrap_err();
    assert!(matches!(error, ClientError::NoLeader { .. }), "{error}");
    assert!((10..=15).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

/// A replica that was cut off does not end a request that the leader works on.
#[tokio::test(start_paused = true)]
async fn who_is_cut_off_does_not_hurry_a_leader_that_others_name() {
    let answer =
        ask("test", MINUTES, retry("cut,leader,follower"), &|_| {}, |host, _| async move {
            match host.host() {
                "leader" => {
                    sleep(Duration::from_secs(100)).await;
                    Ok((0, "led"))
                }
                "follower" => {
                    Err(CallError::NotLeader { hint: "leader".into(), replicas: Vec::new() })
                }
                _ => Err(nobody_leads()),
            }
        });
    assert_eq!(answer.await.unwrap(), "led");
}
