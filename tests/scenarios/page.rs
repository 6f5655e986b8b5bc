//! The page at the admin address, as its readers see it.

use http::{Method, header};

use crate::support::admin::{AdminApi, with_token};
use crate::support::browser::Browser;
use crate::support::client::{Connection, Reply, full};
use crate::support::prelude::*;
use crate::support::wait::until;

const TOKEN: &str = "a-token-of-the-tests";
const NOBODYS: &str = "nothing-like-it";

/// How much of the colour for all requests is in the upper half of their plot, where those who have none are not.
const INK: &str = "
    const plot = document.querySelector('#numbers canvas');
    if (!plot) return null;
    const blue = getComputedStyle(document.documentElement).getPropertyValue('--blue').trim();
    const wanted = [1, 3, 5].map((place) => parseInt(blue.slice(place, place + 2), 16));
    const { data } = plot.getContext('2d').getImageData(0, 0, plot.width, plot.height / 2);
    let ink = 0;
    for (let place = 0; place < data.length; place += 4) {
        ink += data[place + 3] > 128 && wanted.every((part, of) => Math.abs(part - data[place + of]) < 32);
    }
    return ink;";

async fn started() -> (Daemon, AdminApi) {
    with_token(Daemon::builder(), TOKEN).await
}

/// A form, as a browser on a page of `origin` sends it.
async fn post(api: &AdminApi, path: &str, form: &'static str, headers: &[(&'static str, &str)]) -> Reply {
    let mut request = api.with(None).request(Method::POST, path).map(|_| full(form));
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let mut connection = Connection::open(api.address).await.unwrap();
    connection.send(request).await.unwrap()
}

#[tokio::test]
async fn an_operator_logs_in_sees_changes_as_they_come_and_redeploys() {
    let (daemon, api) = started().await;
    let mut layout = Layout::with(&App::of("probe", "1"));
    let digest = layout.add("v2", &App::of("probe", "2"));
    let served = daemon.serve("shop", &layout.file("v1")).await;
    daemon.serve("cart", &layout.file("v1")).await;
    let browser = Browser::start().await;
    let url = format!("http://{}/", api.address);

    browser.open(&url).await;
    browser.fill("#token", NOBODYS).await;
    browser.click("button").await;
    browser.wait_text("the token is not known").await;
    browser.fill("#token", TOKEN).await;
    browser.click("button").await;
    browser.wait_text_in("[data-app=shop]", "running").await;
    browser
        .wait_text_in("[data-app=cart]", &layout.reference("v1"))
        .await;
    let cookie = browser.run("return document.cookie").await;
    assert_eq!(cookie, "", "no script sees the session");
    let link = "return document.querySelector('[data-app=shop] a[target]').href";
    assert_eq!(browser.run(link).await, format!("http://{served}/"));

    // On a phone, nothing is beside what is seen.
    browser.resize(500, 900).await;
    let beside =
        "const { scrollWidth, clientWidth } = document.documentElement; return scrollWidth - clientWidth";
    assert_eq!(browser.run(beside).await, 0);
    browser.resize(1280, 900).await;

    // Nobody reloads it.
    browser.run("window.loaded = true").await;
    let mut moved = layout.file("v2");
    daemon.write_app("shop", &moved);
    let digits = &digest["sha256:".len()..][..12];
    browser.wait_text_in("[data-app=shop]", digits).await;
    moved["reference"] = json!(layout.reference("<script>document.title='broken'</script>"));
    daemon.write_app("shop", &moved);
    let error = daemon
        .wait_for("shop", "to have an error", |app| !app.error().is_empty())
        .await;
    assert!(error.error().contains("<script>"), "{error:?}");
    browser.wait_text_in("[data-app=shop]", "degraded").await;
    browser
        .wait_text_in("[data-app=shop] .error", error.error())
        .await;
    assert_eq!(browser.run("return document.title").await, "Apps · lepton");
    daemon.write_text("broken", "{");
    browser.wait_text_in("[data-app=broken]", "failed").await;
    daemon.remove_app("broken");
    daemon.wait_gone("broken").await;
    until("the row to be gone", async || {
        match browser
            .run("return document.querySelector('[data-app=broken]')")
            .await
        {
            gone if gone.is_null() => Ok(()),
            row => Err(row.to_string()),
        }
    })
    .await;

    browser.fill("#filter input", "CAR").await;
    until("the other row to be gone", async || {
        let rows = "return document.querySelectorAll('#apps tbody').length";
        match browser.run(rows).await {
            rows if rows == 1 => Ok(()),
            rows => Err(rows.to_string()),
        }
    })
    .await;
    assert_eq!(
        browser.run("return window.loaded").await,
        true,
        "it is still the same page"
    );

    browser.click("[data-app=cart] th a").await;
    browser.wait_text_in("h1", "cart").await;
    until("a plot of each kind", async || {
        let canvases = "return document.querySelectorAll('#numbers canvas').length";
        match browser.run(canvases).await {
            canvases if canvases == 3 => Ok(()),
            canvases => Err(canvases.to_string()),
        }
    })
    .await;
    for _ in 0..3 {
        get(daemon.address("cart").await, "/version").await.unwrap();
    }
    browser.wait_text_in("#facts", "3, 0").await;
    let digest = layout.add("v1", &App::of("probe", "3"));
    browser.click("#commands button").await;
    browser.wait_text_in("#facts", &digest).await;

    browser.click("header button").await;
    browser.wait_text_in("label", "Token").await;
    browser.open(&url).await;
    browser.wait_text_in("label", "Token").await;
}

#[tokio::test]
async fn the_table_needs_no_javascript() {
    let (daemon, api) = started().await;
    let layout = Layout::with(&App::of("probe", "1"));
    let served = daemon.serve("shop", &layout.file("v1")).await;
    let mut missing = layout.file("v1");
    missing["reference"] = json!(layout.reference("<b>v9</b>"));
    daemon.write_app("cart", &missing);
    let cart = daemon.wait_state("cart", "failed").await;
    assert!(cart.error().contains("<b>v9</b>"), "{cart:?}");

    let reply = api.get("/").await;
    assert_eq!(reply.status, 200);
    let policy = reply.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
    let html = reply.text();
    for text in [
        &format!("<a href=\"http://{served}/\""),
        "data-app=\"shop\" data-state=\"running\"",
        "data-app=\"cart\" data-state=\"failed\"",
        "&lt;b&gt;v9&lt;/b&gt;",
        &layout.reference("v1"),
    ] {
        assert!(html.contains(text), "{text} in {html}");
    }
    assert!(!html.contains("<b>v9") && !html.contains("https://"), "{html}");
    let failed = api.get("/?state=failed").await;
    assert!(failed.text().contains("data-app=\"cart\"") && !failed.text().contains("data-app=\"shop\""));
    let shop = api.get("/?app=shop").await;
    assert!(shop.text().contains("<h1>shop</h1>") && shop.text().contains("(wildcard) probe"));
    assert_eq!(api.get("/?app=nothing").await.status, 404);
    assert_eq!(api.get("/?page=many").await.status, 400);
    // All that it refers to is here.
    for file in ["page.css", "page.js", "app.js", "plots.js", "uPlot.iife.min.js"] {
        let reply = api.with(None).get(&format!("/page/{file}")).await;
        assert!(reply.status == 200 && !reply.body.is_empty(), "{file}");
    }
}

#[tokio::test]
async fn what_came_before_the_page_was_opened_is_shown_at_once() {
    let (daemon, api) = started().await;
    let layout = Layout::with(&App::of("probe", "1"));
    let served = daemon.serve("shop", &layout.file("v1")).await;
    daemon.serve("cart", &layout.file("v1")).await;
    for path in ["/version", "/status?code=503"] {
        get(served, path).await.unwrap();
    }
    until("the failure, and something after it", async || {
        let traffic = api.json("/apps/shop/traffic").await;
        let steps = traffic["steps"].as_array().unwrap();
        match steps.iter().rposition(|step| step["failed"] == 1) {
            Some(place) if place + 1 < steps.len() => Ok(()),
            _ => Err(traffic.to_string()),
        }
    })
    .await;

    // Without JavaScript.
    let html = api.get("/").await.text().to_owned();
    let row = |app: &str| {
        let rest = html.split(&format!("data-app=\"{app}\"")).nth(1).unwrap();
        rest.split("</tbody>").next().unwrap().to_owned()
    };
    for colour in ["--blue", "--red"] {
        let bars = format!("<path data-colour=\"{colour}\" d=\"M");
        assert!(row("shop").contains(&bars), "{}", row("shop"));
    }
    assert!(row("shop").contains("At most ") && !row("cart").contains("<svg"));
    for path in ["/", "/?app=shop"] {
        let html = api.get(path).await.text().to_owned();
        for figure in ["Requests", "In flight", "Latency"] {
            assert!(
                html.contains(&format!("<figcaption>{figure}<")),
                "{figure} in {html}"
            );
        }
        assert!(html.contains("<path data-colour=\"--amber\" d=\"M"), "{html}");
    }
    assert!(!api.get("/?app=cart").await.text().contains("d=\"M"));

    // With it, in a browser that has not been there before.
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", api.address)).await;
    browser.fill("#token", TOKEN).await;
    browser.click("button").await;
    browser.click("[data-app=shop] th a").await;
    until(
        "what came in the upper half of the first plot",
        async || match browser.run(INK).await {
            ink if ink.as_u64().is_some_and(|ink| ink > 0) => Ok(()),
            none => Err(none.to_string()),
        },
    )
    .await;
    // It is that of the daemon, whatever browser asks.
    assert_eq!(browser.run("return sessionStorage.length").await, 0);
}

#[tokio::test]
async fn a_session_is_as_good_as_its_token_and_for_own_pages_alone() {
    let (daemon, api) = started().await;
    let layout = Layout::with(&App::of("probe", "1"));
    let served = daemon.serve("shop", &layout.file("v1")).await;
    assert_eq!(api.with(None).get("/").await.status, 401);
    let form = "token=a-token-of-the-tests";
    let elsewhere = post(&api, "/login", form, &[("origin", "https://other.example")]).await;
    assert_eq!(elsewhere.status, 403);
    let reply = post(&api, "/login", form, &[]).await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("location")),
        (303, Some("/"))
    );
    let set = reply.header("set-cookie").unwrap();
    assert!(set.contains("; HttpOnly; SameSite=Strict"), "{set}");
    let cookie = set.split(';').next().unwrap();

    let session = [("cookie", cookie)];
    let get_status = async || {
        let mut request = api.with(None).request(Method::GET, "/status");
        request
            .headers_mut()
            .insert(header::COOKIE, cookie.parse().unwrap());
        let mut connection = Connection::open(api.address).await.unwrap();
        connection.send(request).await.unwrap().status.as_u16()
    };
    assert_eq!(get_status().await, 200);
    let redeploy = "/apps/shop/redeploy";
    for (name, value, status) in [
        ("sec-fetch-site", "same-origin", 202),
        ("sec-fetch-site", "same-site", 403),
        ("origin", "https://other.example", 403),
    ] {
        let headers = [session[0], (name, value)];
        let reply = post(&api, redeploy, "", &headers).await;
        assert_eq!(reply.status.as_u16(), status, "{name}: {value}");
    }

    // Browsers send cookies to all ports of a host.
    let mut request = api.with(None).request(Method::GET, "/headers");
    let cookies = format!("a=1; {cookie}; b=2");
    request
        .headers_mut()
        .insert(header::COOKIE, cookies.parse().unwrap());
    let mut connection = Connection::open(served).await.unwrap();
    let seen = connection.send(request).await.unwrap();
    assert!(
        seen.text().contains("a=1") && seen.text().contains("b=2"),
        "{}",
        seen.text()
    );
    assert!(!seen.text().contains("lepton-session"), "{}", seen.text());

    let tokens = daemon.root().join("home/tokens");
    std::fs::write(&tokens, "another-token").unwrap();
    assert_eq!(get_status().await, 401);
    std::fs::write(&tokens, TOKEN).unwrap();
    assert_eq!(get_status().await, 200);
    assert_eq!(post(&api, "/logout", "", &session).await.status, 303);
    assert_eq!(get_status().await, 401);
}
