//! Tokens that are fetched, renewed and kept, signed calls, and passwords.

use super::*;

#[tokio::test]
async fn twenty_calls_at_a_time_fetch_one_token() {
    let vendor = Arc::new(Vendor::default());
    let transport = Arc::new(transport(start(vendor.clone()).await, grant(None), options()));
    let calls = (0..20).map(|_| {
        let transport = transport.clone();
        tokio::spawn(async move { transport.send(&get("/api")).await.unwrap().status })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), 200);
    }
    assert_eq!(vendor.fetches.load(Ordering::SeqCst), 1);
    assert_eq!(vendor.grants.lock().unwrap()[0], "grant_type=refresh_token&client_id=a%26b");
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_and_then_the_refusal_is_returned() {
    let vendor = Arc::new(Vendor::default());
    let transport = transport(start(vendor.clone()).await, grant(None), options());
    transport.send(&get("/api")).await.unwrap();
    vendor.valid_from.store(2, Ordering::SeqCst);
    assert_eq!(transport.send(&get("/api")).await.unwrap().status, 200);
    assert_eq!((vendor.fetches.load(Ordering::SeqCst), vendor.calls.load(Ordering::SeqCst)), (2, 3));
    vendor.valid_from.store(usize::MAX, Ordering::SeqCst);
    assert_eq!(transport.send(&get("/api")).await.unwrap().status, 401);
    assert_eq!((vendor.fetches.load(Ordering::SeqCst), vendor.calls.load(Ordering::SeqCst)), (3, 5));
}

#[tokio::test]
async fn a_token_is_renewed_before_it_runs_out() {
    let vendor = Arc::new(Vendor::default());
    let clock = Clock::manual("2026-11-20T10:00:00Z".parse().unwrap());
    let options = Options { clock: clock.clone(), ..options() };
    let transport = transport(start(vendor.clone()).await, grant(None), options);
    for (minutes, fetches) in [(0, 1), (58, 1), (2, 2)] {
        clock.advance(jiff::SignedDuration::from_mins(minutes));
        transport.send(&get("/api")).await.unwrap();
        assert_eq!(vendor.fetches.load(Ordering::SeqCst), fetches);
    }
}

#[tokio::test]
async fn a_replaced_refresh_token_is_kept_and_used_after_a_restart() {
    let vendor = Arc::new(Vendor::default());
    let address = start(vendor.clone()).await;
    let tokens = Arc::new(MemoryTokens::default());
    for _ in 0..2 {
        let options = Options { tokens: tokens.clone(), ..options() };
        transport(address, grant(Some("first")), options).send(&get("/api")).await.unwrap();
    }
    let used: Vec<String> = vendor.grants.lock().unwrap().iter().map(|it| it.rsplit_once('=').unwrap().1.to_owned()).collect();
    assert_eq!(used, ["first", "r1"]);
    assert_eq!(tokens.load("erp").await.unwrap().unwrap().expose(), "r2");
}

fn single_use_grant() -> Auth {
    let grant = TokenGrant::new("/single-use", BodyEncoding::Form, vec![("grant_type", Secret::new("refresh_token"))]);
    Auth::Token(TokenGrant { refresh_token: Some(Secret::new("first")), ..grant })
}

#[tokio::test]
async fn two_nodes_take_turns_with_refresh_tokens_that_are_good_for_one_use() {
    let vendor = Arc::new(Vendor::default());
    let address = start(vendor.clone()).await;
    let tokens = Arc::new(MemoryTokens::default());
    let clock = Clock::manual("2026-11-20T10:00:00Z".parse().unwrap());
    let node = || transport(address, single_use_grant(), Options { tokens: tokens.clone(), clock: clock.clone(), ..options() });
    let nodes = [node(), node()];
    for _ in 0..3 {
        for node in &nodes {
            assert_eq!(node.send(&get("/api")).await.unwrap().status, 200);
        }
        clock.advance(jiff::SignedDuration::from_hours(1));
    }
    assert_eq!(vendor.grants.lock().unwrap().len(), 6, "a token was used that another node had used up");
    assert_eq!(tokens.load("erp").await.unwrap().unwrap().expose(), "r6");
}

#[tokio::test]
async fn a_token_that_another_node_used_up_at_the_same_time_is_read_once_more() {
    /// Answers the first reader with what was true before another node renewed.
    struct Late(MemoryTokens, AtomicUsize);
    impl TokenKeeper for Late {
        fn load<'a>(&'a self, connection: &'a str) -> BoxFuture<'a, Result<Option<Secret>, String>> {
            if self.1.fetch_add(1, Ordering::SeqCst) == 0 {
                return Box::pin(async { Ok(Some(Secret::new("r0"))) });
            }
            self.0.load(connection)
        }
        fn save<'a>(&'a self, connection: &'a str, token: &'a Secret) -> BoxFuture<'a, Result<(), String>> {
            self.0.save(connection, token)
        }
    }
    let vendor = Arc::new(Vendor::default());
    vendor.fetches.store(1, Ordering::SeqCst);
    let tokens = Arc::new(Late(MemoryTokens::default(), AtomicUsize::new(0)));
    tokens.0.save("erp", &Secret::new("r1")).await.unwrap();
    let options = Options { tokens: tokens.clone(), ..options() };
    let transport = transport(start(vendor.clone()).await, single_use_grant(), options);
    assert_eq!(transport.send(&get("/api")).await.unwrap().status, 200);
    assert_eq!(tokens.0.load("erp").await.unwrap().unwrap().expose(), "r2");
}

#[tokio::test]
async fn a_refresh_token_that_could_not_be_kept_is_used_until_it_is() {
    struct OnceBroken(MemoryTokens, AtomicUsize);
    impl TokenKeeper for OnceBroken {
        fn load<'a>(&'a self, connection: &'a str) -> BoxFuture<'a, Result<Option<Secret>, String>> {
            self.0.load(connection)
        }
        fn save<'a>(&'a self, connection: &'a str, token: &'a Secret) -> BoxFuture<'a, Result<(), String>> {
            if self.1.fetch_add(1, Ordering::SeqCst) == 0 {
                return Box::pin(async { Err("disk full".to_owned()) });
            }
            self.0.save(connection, token)
        }
    }
    let vendor = Arc::new(Vendor::default());
    let tokens = Arc::new(OnceBroken(MemoryTokens::default(), AtomicUsize::new(0)));
    let options = Options { tokens: tokens.clone(), ..options() };
    let transport = transport(start(vendor.clone()).await, single_use_grant(), options);
    assert!(transport.send(&get("/api")).await.is_err());
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(transport.send(&get("/api")).await.unwrap().status, 200);
    assert_eq!(tokens.0.load("erp").await.unwrap().unwrap().expose(), "r2");
}

#[tokio::test]
async fn a_grant_of_its_own_shape_brings_its_headers_and_body_and_finds_the_token() {
    let vendor = Arc::new(Vendor::default());
    let address = start(vendor.clone()).await;
    let grant = TokenGrant {
        headers: vec![("client-id", Secret::new("c")), ("x-both", Secret::new("grant"))],
        body: Some(Secret::new(r#"{"who":"me"}"#)),
        read: Some(Box::new(|answer| {
            Some((Secret::new(answer.pointer("/value/token")?.as_str()?), answer.pointer("/value/lasts")?.as_u64()))
        })),
        header: ("x-session", ""),
        ..TokenGrant::new("/own", BodyEncoding::Json, Vec::new())
    };
    let endpoint = Endpoint::new(format!("http://{address}"), Auth::Token(grant))
        .header("x-both", "endpoint")
        .secret_header("x-subscription", Secret::new("s"));
    let transport = Client::new().transport(endpoint, |_| None, options()).unwrap();
    assert_eq!(transport.send(&get("/api")).await.unwrap().status, 200);
    let seen = vendor.seen.lock().unwrap();
    let [(_, asked), (_, called)] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(
        (&asked["client-id"], &asked["x-both"], &asked["x-subscription"]),
        (&HeaderValue::from_static("c"), &HeaderValue::from_static("grant"), &HeaderValue::from_static("s"))
    );
    assert_eq!(asked["content-type"], "application/json");
    assert_eq!(vendor.grants.lock().unwrap()[0], r#"{"who":"me"}"#);
    assert_eq!(
        (&called["x-session"], &called["x-subscription"]),
        (&HeaderValue::from_static("t9"), &HeaderValue::from_static("s"))
    );
    assert!(!called.contains_key("client-id"));
}

#[tokio::test]
async fn a_signed_call_carries_its_signature_to_its_vendor_alone() {
    let (vendor, other) = (Arc::new(Vendor::default()), Arc::new(Vendor::default()));
    let (address, elsewhere) = (start(vendor.clone()).await, start(other.clone()).await);
    for in_header in [true, false] {
        let auth = Auth::OAuth1(OAuth1 {
            consumer_key: Secret::new("ck"),
            consumer_secret: Secret::new("cs"),
            token: None,
            digest: Digest::Sha256,
            in_header,
        });
        let transport = transport(address, auth, options());
        transport.send(&get("/api?a=b")).await.unwrap();
        let (uri, headers) = vendor.seen.lock().unwrap().pop().unwrap();
        assert_eq!(headers.contains_key("authorization"), in_header);
        assert_eq!(uri.query().unwrap().contains("oauth_signature="), !in_header);
        assert!(uri.query().unwrap().starts_with("a=b"));
        transport.send(&get(format!("http://{elsewhere}/api"))).await.unwrap();
        let (uri, headers) = other.seen.lock().unwrap().pop().unwrap();
        assert!(uri.query().is_none() && !headers.contains_key("authorization"));
    }
}

#[tokio::test]
async fn a_user_with_a_password_goes_as_basic() {
    let vendor = Arc::new(Vendor::default());
    let transport = transport(start(vendor.clone()).await, Auth::Basic("Aladdin".into(), Secret::new("open sesame")), options());
    transport.send(&get("/api")).await.unwrap();
    // RFC 7617 section 2.
    assert_eq!(vendor.seen.lock().unwrap()[0].1["authorization"], "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

#[tokio::test]
async fn a_token_that_cannot_be_kept_is_not_used() {
    struct Broken;
    impl TokenKeeper for Broken {
        fn load<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Secret>, String>> {
            Box::pin(async { Ok(None) })
        }
        fn save<'a>(&'a self, _: &'a str, _: &'a Secret) -> BoxFuture<'a, Result<(), String>> {
            Box::pin(async { Err("disk full".to_owned()) })
        }
    }
    let vendor = Arc::new(Vendor::default());
    let options = Options { tokens: Arc::new(Broken), ..options() };
    let failure = transport(start(vendor.clone()).await, grant(Some("first")), options).send(&get("/api")).await.unwrap_err();
    assert_eq!(failure, Failure::Auth("the new refresh token cannot be kept: disk full".into()));
    assert_eq!(vendor.calls.load(Ordering::SeqCst), 0);
}
