//! How fast it is on this machine. Run by hand:
//! `cargo nextest run -p spindel-store --release --run-ignored only --no-capture speed`.
#![allow(clippy::print_stderr)]

use super::*;
use spindel_model::DeliveryId;
use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::{Duration, Instant},
};

const CALLERS: usize = 64;
const MEASURED: Duration = Duration::from_secs(5);

fn body() -> Vec<u8> {
    let id = uuid::Uuid::new_v4();
    let mut body = format!(r#"{{"id":"{id}","lines":["#).into_bytes();
    for n in 0..20 {
        let sku = uuid::Uuid::new_v4();
        body.extend(format!(r#"{{"sku":"{sku}","quantity":{n},"price":"{n}9.00","title":"Ullgenser"}},"#).as_bytes());
    }
    body.truncate(2048);
    body
}

/// Calls `work` from many callers for a while; answers how often a second it came back.
async fn rate<F: Future<Output = usize> + Send + 'static>(work: impl Fn(usize) -> F + Send + Sync + 'static) -> f64 {
    let (work, done, began) = (Arc::new(work), Arc::new(AtomicUsize::new(0)), Instant::now());
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (work, done) = (Arc::clone(&work), Arc::clone(&done));
            tokio::spawn(async move {
                while began.elapsed() < MEASURED {
                    done.fetch_add(work(caller).await, Relaxed);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    done.load(Relaxed) as f64 / began.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes seconds and says something only in a release build"]
async fn speed_of_appends() {
    let world = World::new().await;
    let store = world.open().await;
    for _ in 0..3 {
        let store = Arc::clone(&store);
        let rate = rate(move |_| {
            let store = Arc::clone(&store);
            async move {
                let new = NewEvent { body: body(), ..event(&uuid::Uuid::new_v4().to_string()) };
                store.append(new).await.unwrap();
                1
            }
        });
        eprintln!("appends of 2 KB with {CALLERS} callers: {:.0}/s", rate.await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes seconds and says something only in a release build"]
async fn speed_of_work() {
    let world = World::new().await;
    let store: Shared = world.open().await;
    for _ in 0..3 {
        let inner = Arc::clone(&store);
        let rate = rate(move |_| {
            let store = Arc::clone(&inner);
            async move {
                let id = accepted(&store).await;
                let new = NewDelivery { action_json: Some(body()), ..push(&uuid::Uuid::new_v4().to_string(), 1) };
                let delivery: DeliveryId = new.id;
                store.plan(plan_of(id, vec![new], at(0))).await.unwrap();
                let claimed = claim_one(&store, delivery, at(0)).await;
                finish(&store, outcome(&claimed, State::Delivered, at(1))).await;
                1
            }
        });
        eprintln!("append, plan, claim and finish with {CALLERS} callers: {:.0}/s", rate.await);
    }
}
