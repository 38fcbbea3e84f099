//! A store that takes no writes: 503, and nothing that was acknowledged is lost.

use crate::world::{FLOWS, World, wait_for};
use spindel_simulators::shopify::{Options, sign};
use std::{collections::HashSet, process::Command, time::Duration};

/// A shell that forbids files to grow beyond this, in KiB; a write beyond it fails as on a full disk.
const LIMIT_KIB: u32 = 24 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_answered_with_503_and_what_was_acknowledged_stays() {
    let mut world = World::prepare(FLOWS, Options { retry_base: Duration::from_millis(20), ..Options::plus() }).await;
    let mut shell = Command::new("bash");
    shell
        .arg("-c")
        .arg(format!("trap '' XFSZ; ulimit -S -f {LIMIT_KIB}; exec {} \"$@\"", env!("CARGO_BIN_EXE_spindel")))
        .arg("spindel");
    world.launch_with(shell);
    // Nothing leaves, so that the database only grows.
    world.pair.erp.faults().set(Some(spindel_simulators::fault::Fault::Down));

    let client = reqwest::Client::new();
    let mut acknowledged = HashSet::new();
    let mut refused = 0;
    for number in 0..4_000 {
        let body = format!(r#"{{"id":{number},"filler":"{}"}}"#, filler(number));
        let request = client.post(format!("http://{}/in/shop", world.address)).header("X-Shopify-Topic", "orders/delete");
        let request = request.header("X-Shopify-Hmac-Sha256", sign("client-secret", body.as_bytes())).body(body);
        let answer = request.send().await.unwrap();
        match answer.status().as_u16() {
            200 => {
                let json: serde_json::Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
                acknowledged.insert(json["event"].as_str().unwrap().to_owned());
            }
            503 => {
                assert!(answer.headers().contains_key("retry-after"));
                refused += 1;
            }
            other => panic!("HTTP {other}"),
        }
        if refused > 20 {
            break;
        }
    }
    assert!(refused > 20, "the disk was never full: {} accepted", acknowledged.len());
    assert!(acknowledged.len() > 20, "hardly anything was accepted before");

    // Room again: it goes on by itself.
    let pid = world.pid().to_string();
    assert!(Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited"]).status().unwrap().success());
    let url = format!("http://{}/in/shop", world.address);
    wait_for("a 200 after there is room again", Duration::from_secs(20), || {
        let body = "{\"id\":99999999}";
        let signature = format!("X-Shopify-Hmac-Sha256: {}", sign("client-secret", body.as_bytes()));
        let mut curl = Command::new("curl");
        curl.args([
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "-H",
            "X-Shopify-Topic: orders/delete",
            "-H",
            &signature,
            "-d",
            body,
            &url,
        ]);
        String::from_utf8(curl.output().unwrap().stdout).unwrap() == "200"
    })
    .await;

    for event in &acknowledged {
        let (code, _) = world.cli_with_code(&["events", "show", event]);
        assert_eq!(code, 0, "{event} was acknowledged and is gone");
    }
}

/// Text that does not compress away.
fn filler(number: u64) -> String {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::new();
    for _ in 0..4_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(&format!("{state:016x}"));
    }
    text
}
