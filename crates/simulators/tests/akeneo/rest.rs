//! Tokens, pages, searches, values and files.

use super::*;
use jiff::tz::TimeZone;

struct Http {
    client: reqwest::Client,
    base: String,
    token: String,
}

impl Http {
    async fn of(pim: &AkeneoSim) -> Self {
        let answer =
            grant(pim, "client-secret", json!({ "grant_type": "password", "username": "spindel_1234", "password": "password" }));
        let (status, answer) = answer.await;
        assert_eq!((status, &answer["expires_in"]), (StatusCode::OK, &json!(3600)));
        let token = answer["access_token"].as_str().unwrap().to_owned();
        Self { client: reqwest::Client::new(), base: pim.base_url(), token }
    }

    async fn raw(&self, url: &str) -> reqwest::Response {
        let url = if url.starts_with("http") { url.to_owned() } else { format!("{}/api/rest/v1/{url}", self.base) };
        self.client.get(url).bearer_auth(&self.token).send().await.unwrap()
    }

    async fn get(&self, url: &str) -> (StatusCode, Value) {
        let answer = self.raw(url).await;
        (answer.status(), serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }

    async fn search(&self, kind: &str, search: Value) -> Vec<Value> {
        let url = format!("{}/api/rest/v1/{kind}", self.base);
        let url = reqwest::Url::parse_with_params(&url, [("search", search.to_string())]).unwrap();
        let (status, body) = self.get(url.as_str()).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body["_embedded"]["items"].as_array().unwrap().clone()
    }
}

async fn grant(pim: &AkeneoSim, secret: &str, body: Value) -> (StatusCode, Value) {
    let request = reqwest::Client::new().post(format!("{}/api/oauth/v1/token", pim.base_url()));
    let request = request.basic_auth("1_client", Some(secret)).header("content-type", "application/json");
    let answer = request.body(body.to_string()).send().await.unwrap();
    (answer.status(), serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

#[tokio::test]
async fn tokens_are_for_the_connections_own_user_and_end_after_an_hour() {
    let clock = clock();
    let pim = AkeneoSim::start(options(&clock)).await.unwrap();
    let password = json!({ "grant_type": "password", "username": "spindel_1234", "password": "password" });
    let (status, refused) = grant(&pim, "another", password.clone()).await;
    assert_eq!((status, &refused["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!(422)));
    let wrong = json!({ "grant_type": "password", "username": "spindel_1234", "password": "guessed" });
    assert_eq!(grant(&pim, "client-secret", wrong).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    let (_, granted) = grant(&pim, "client-secret", password).await;

    let mut http = Http::of(&pim).await;
    assert_eq!(http.get("channels/ecommerce").await.0, StatusCode::OK);
    minutes(&clock, 61);
    let (status, body) = http.get("channels/ecommerce").await;
    assert_eq!((status, &body["code"]), (StatusCode::UNAUTHORIZED, &json!(401)));
    let refresh = json!({ "grant_type": "refresh_token", "refresh_token": granted["refresh_token"] });
    let (status, renewed) = grant(&pim, "client-secret", refresh.clone()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(grant(&pim, "client-secret", refresh).await.0, StatusCode::UNPROCESSABLE_ENTITY, "it is good for one use");
    http.token = renewed["access_token"].as_str().unwrap().to_owned();
    assert_eq!(http.get("channels/ecommerce").await.0, StatusCode::OK);
    http.token = "guessed".into();
    assert_eq!(http.get("channels/ecommerce").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(pim.tokens_issued(), 3);
}

#[tokio::test]
async fn a_full_page_names_a_next_one_though_it_is_empty() {
    let pim = AkeneoSim::start(options(&clock())).await.unwrap();
    for _ in 0..4 {
        pim.create_product(mug()).unwrap();
    }
    let http = Http::of(&pim).await;
    let (mut url, mut seen) = ("products-uuid?pagination_type=search_after&limit=2".to_owned(), Vec::new());
    let mut pages = 0;
    loop {
        let (_, page) = http.get(&url).await;
        pages += 1;
        seen.extend(page["_embedded"]["items"].as_array().unwrap().iter().map(|it| it["uuid"].as_str().unwrap().to_owned()));
        match page["_links"]["next"]["href"].as_str() {
            Some(next) => url = next.to_owned(),
            None => break,
        }
    }
    let all: Vec<String> = pim.products().into_iter().map(|it| it.uuid).collect();
    assert_eq!((pages, seen), (3, all));
    let (_, second) = http.get("products-uuid?limit=2&page=2").await;
    assert_eq!((&second["current_page"], second["_links"]["previous"].is_object()), (&json!(2), true));
}

#[tokio::test]
async fn questions_that_make_no_sense_are_refused_in_the_pims_own_words() {
    let pim = AkeneoSim::start(options(&clock())).await.unwrap();
    let http = Http::of(&pim).await;
    for (url, status, word) in [
        ("products-uuid?limit=101", 422, "more than 100"),
        ("products-uuid?pagination_type=offset", 422, "Pagination"),
        ("products-uuid?scope=web", 422, "Scope \"web\""),
        ("products-uuid?scope=print&locales=sv_SE", 422, "sv_SE"),
        ("products-uuid?search=%7B", 400, "JSON"),
        ("products-uuid?search={\"updated\":[{\"operator\":\">\",\"value\":\"2026-11-20T09:00:00Z\"}]}", 422, "yyyy-mm-dd"),
        ("products-uuid?search={\"updated\":[{\"operator\":\"~\",\"value\":\"2026-11-20 09:00:00\"}]}", 422, "operator"),
        ("products-uuid/6a1f0c52-7f5c-4d0e-9d0b-0a3c5c1f7a01", 404, "does not exist"),
        ("product-models/none", 404, "does not exist"),
        ("nothing", 404, "No route"),
    ] {
        let (got, body) = http.get(url).await;
        assert_eq!((got.as_u16(), body["code"].as_u64()), (status, Some(u64::from(status))), "{url}");
        assert!(body["message"].as_str().unwrap().contains(word), "{body}");
    }
    let html =
        http.client.get(format!("{}/api/rest/v1/locales", http.base)).bearer_auth(&http.token).header("accept", "text/html");
    assert_eq!(html.send().await.unwrap().status(), StatusCode::NOT_ACCEPTABLE);
    let bare = reqwest::get(format!("{}/api/rest/v1/channels", http.base)).await.unwrap();
    assert_eq!(bare.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_variant_is_found_by_the_change_of_its_model_in_the_servers_own_time_and_keeps_its_time() {
    let clock = clock();
    let oslo = TimeZone::get("Europe/Oslo").unwrap();
    let pim = AkeneoSim::start(Options { time_zone: oslo, ..options(&clock) }).await.unwrap();
    jumper(&pim);
    pim.create_product(mug()).unwrap();
    minutes(&clock, 60);
    pim.change_model("ull", vec![Val::new("material", "Merinoull").locale("nb_NO")]).unwrap();
    let http = Http::of(&pim).await;
    // Eleven o'clock in UTC is twelve in Oslo.
    let changed = |from: &str| json!({ "updated": [{ "operator": ">", "value": from }] });
    let found = http.search("products-uuid", changed("2026-11-20 11:30:00")).await;
    assert_eq!(found.len(), 2);
    assert!(
        found.iter().all(|it| it["updated"] == "2026-11-20T10:00:00+00:00" && it["values"]["material"][0]["data"] == "Merinoull")
    );
    assert!(http.search("products-uuid", changed("2026-11-20 12:00:00")).await.is_empty());
    assert_eq!(http.search("products-uuid", json!({ "parent": [{ "operator": "=", "value": "ull" }] })).await.len(), 2);
    assert_eq!(http.search("products-uuid", json!({ "parent": [{ "operator": "IN", "value": ["ull"] }] })).await.len(), 0);
    assert_eq!(http.search("product-models", json!({ "parent": [{ "operator": "IN", "value": ["ull"] }] })).await.len(), 2);
}

#[tokio::test]
async fn values_are_those_of_the_channel_and_the_locales_with_labels_on_demand() {
    let pim = AkeneoSim::start(options(&clock())).await.unwrap();
    let uuid = pim.create_product(mug()).unwrap();
    let http = Http::of(&pim).await;
    let url = "products-uuid?scope=ecommerce&locales=nb_NO&with_attribute_options=true&with_completenesses=true";
    let (_, page) = http.get(url).await;
    let item = &page["_embedded"]["items"][0];
    assert_eq!(item["values"]["name"].as_array().unwrap().len(), 1);
    assert_eq!(item["values"]["description"][0]["data"], "<p>Steintøy.</p>");
    assert_eq!(item["values"]["collection"][0]["linked_data"]["autumn"]["labels"]["sv_SE"], "Höst");
    assert_eq!(item["completenesses"][0], json!({ "scope": "ecommerce", "locale": "nb_NO", "data": 100 }));
    assert_eq!(item["completenesses"][3], json!({ "scope": "print", "locale": "en_US", "data": 33 }));
    let (_, bare) = http.get(&format!("products-uuid/{uuid}")).await;
    assert_eq!(bare["values"]["description"].as_array().unwrap().len(), 2);
    assert!(bare["values"]["collection"][0].get("linked_data").is_none() && bare.get("completenesses").is_none());
}

#[tokio::test]
async fn files_are_downloaded_with_the_token_and_not_without() {
    let pim = AkeneoSim::start(options(&clock())).await.unwrap();
    let code = pim.upload("krus.jpg", "image/jpeg", b"\xff\xd8\xff");
    let uuid = pim.create_product(mug()).unwrap();
    pim.change_product(&uuid, vec![Val::new("picture", code.clone())]).unwrap();
    let http = Http::of(&pim).await;
    let (_, product) = http.get(&format!("products-uuid/{uuid}")).await;
    let href = product["values"]["picture"][0]["_links"]["download"]["href"].as_str().unwrap();
    let answer = http.raw(href).await;
    assert_eq!(answer.headers()["content-type"], "image/jpeg");
    assert_eq!(answer.bytes().await.unwrap().as_ref(), b"\xff\xd8\xff");
    assert_eq!(reqwest::get(href).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let (_, file) = http.get(&format!("media-files/{code}")).await;
    assert_eq!((&file["size"], &file["extension"]), (&json!(3), &json!("jpg")));
}
