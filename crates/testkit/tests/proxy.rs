//! The proxy fails as it was told to, and in no other way.
#![allow(clippy::unwrap_used)]

use spindel_testkit::proxy::{Counts, Cut, Mode, Proxy, Trap};
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

const DEADLINE: Duration = Duration::from_secs(10);
/// Long enough to see that nothing comes.
const NOTHING: Duration = Duration::from_millis(100);

/// A server that sends back what it gets, and notes it.
async fn echo() -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let noted = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let noted = Arc::clone(&noted);
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                    noted.lock().unwrap().extend(&buffer[..length]);
                    if stream.write_all(&buffer[..length]).await.is_err() {
                        return;
                    }
                }
                let _gone = stream.write_all(b"bye").await;
            });
        }
    });
    (address, seen)
}

async fn world() -> (Proxy, Arc<Mutex<Vec<u8>>>) {
    let (address, seen) = echo().await;
    (Proxy::start(address), seen)
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address).await.unwrap()
}

async fn say(stream: &mut TcpStream, text: &str) -> io::Result<String> {
    stream.write_all(text.as_bytes()).await?;
    hear(stream, text.len()).await
}

async fn hear(stream: &mut TcpStream, length: usize) -> io::Result<String> {
    let mut buffer = vec![0; length];
    timeout(DEADLINE, stream.read_exact(&mut buffer)).await.expect("an answer before the deadline")?;
    Ok(String::from_utf8(buffer).unwrap())
}

#[tokio::test]
async fn what_passes_is_the_same_and_is_counted() {
    let (proxy, _) = world().await;
    let mut stream = connect(&proxy).await;
    assert_eq!(say(&mut stream, "hello").await.unwrap(), "hello");
    assert_eq!(proxy.counts(), Counts { connections: 1, open: 1, sent: 5, received: 5, trapped: 0 });
}

#[tokio::test]
async fn several_targets_take_turns_and_the_dead_one_is_passed_over() {
    let ((one, seen_by_one), (two, seen_by_two)) = (echo().await, echo().await);
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = Proxy::spread(vec![one, two, dead]);
    for _ in 0..6 {
        say(&mut connect(&proxy).await, "x").await.unwrap();
    }
    let seen = [seen_by_one.lock().unwrap().len(), seen_by_two.lock().unwrap().len()];
    assert!(seen.iter().sum::<usize>() == 6 && seen.iter().all(|count| *count >= 2), "{seen:?}");
}

#[tokio::test]
async fn a_reset_is_seen_as_one_and_the_next_connection_stands() {
    let (proxy, _) = world().await;
    let mut stream = connect(&proxy).await;
    say(&mut stream, "hello").await.unwrap();
    proxy.cut(Cut::Reset);
    assert_eq!(hear(&mut stream, 1).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(say(&mut connect(&proxy).await, "again").await.unwrap(), "again");
}

#[tokio::test]
async fn a_finished_connection_ends_without_an_error() {
    let (proxy, _) = world().await;
    let mut stream = connect(&proxy).await;
    say(&mut stream, "hello").await.unwrap();
    proxy.cut(Cut::Finish);
    assert_eq!(hear(&mut stream, 1).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn refusing_spares_those_that_stand() {
    let (proxy, _) = world().await;
    let mut stream = connect(&proxy).await;
    say(&mut stream, "hello").await.unwrap();
    proxy.set(Mode::Refuse);
    let refused = match TcpStream::connect(proxy.address).await {
        Ok(mut refused) => say(&mut refused, "x").await.is_err(),
        Err(_) => true,
    };
    assert!(refused);
    assert_eq!(say(&mut stream, "still").await.unwrap(), "still");
}

#[tokio::test]
async fn a_partition_holds_everything_until_it_heals() {
    let (proxy, seen) = world().await;
    let mut stream = connect(&proxy).await;
    say(&mut stream, "one").await.unwrap();
    proxy.set(Mode::Freeze);
    stream.write_all(b"two").await.unwrap();
    let mut new = connect(&proxy).await;
    new.write_all(b"three").await.unwrap();
    assert!(timeout(NOTHING, stream.read_u8()).await.is_err());
    assert_eq!(*seen.lock().unwrap(), b"one");
    proxy.set(Mode::Pass);
    assert_eq!(hear(&mut stream, 3).await.unwrap(), "two");
    assert_eq!(hear(&mut new, 5).await.unwrap(), "three");
}

#[tokio::test]
async fn a_slow_way_delays_and_throttles() {
    let (proxy, _) = world().await;
    let mut stream = connect(&proxy).await;
    for mode in [Mode::Delay(Duration::from_millis(50)), Mode::Throttle(200)] {
        proxy.set(mode);
        let begun = std::time::Instant::now();
        say(&mut stream, "0123456789").await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(100), "{mode:?}: there and back");
    }
}

#[tokio::test]
async fn half_closed_connections_still_answer() {
    let (proxy, _) = world().await;
    let mut stream = connect(&proxy).await;
    say(&mut stream, "hello").await.unwrap();
    proxy.half_close();
    assert_eq!(hear(&mut stream, 3).await.unwrap(), "bye");
}

#[tokio::test]
async fn a_trap_cuts_before_or_after_what_it_waits_for() {
    for (trap, arrived) in [
        (Trap::Before(b"COMMIT".to_vec()), "begin COM"),
        (Trap::After(b"COMMIT".to_vec()), "begin COMMIT"),
        (Trap::Bytes(11), "begin COM"),
    ] {
        let (proxy, seen) = world().await;
        proxy.trap(trap.clone(), 1);
        let mut stream = connect(&proxy).await;
        say(&mut stream, "begin ").await.unwrap();
        // The pattern may come in pieces.
        say(&mut stream, "COM").await.unwrap();
        assert!(say(&mut stream, "MIT").await.is_err(), "{trap:?}");
        assert_eq!(String::from_utf8_lossy(&seen.lock().unwrap()), arrived, "{trap:?}");
        assert_eq!(proxy.counts().trapped, 1);
        assert_eq!(say(&mut connect(&proxy).await, "COMMIT").await.unwrap(), "COMMIT", "{trap:?}: only once");
    }
}
