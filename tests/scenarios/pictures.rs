//! The pictures of the page in `docs/page`: not a test, and run only when they are to be renewed.
//!
//! `cargo test --features aws --test main -- --ignored pictures`

use std::f64::consts::TAU;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use http::{HeaderValue, Method, header};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::support::admin::with_token;
use crate::support::browser::Browser;
use crate::support::client::{empty, request};
use crate::support::prelude::*;

const TOKEN: &str = "a-token-of-the-pictures";
/// Of what the page shows of the past, and some more.
const QUARTER: Duration = Duration::from_secs(165);
/// Where the examples are served.
const SHOP: &str = "127.0.0.1:8080";

const PUSHED: [&str; 7] = [
    "cart:2.4",
    "catalog:1.18.2",
    "checkout:2.7",
    "checkout:2.8",
    "checkout:2.9",
    "hello:1.0",
    "seed:1.0",
];

/// Asks an app as often in a second as `rate` says at the moment, until it is aborted.
async fn ask(address: SocketAddr, host: &'static str, path: &'static str, rate: impl Fn(f64) -> f64) {
    let began = Instant::now();
    for number in 0.. {
        let what = match number % 97 {
            5 => "status?code=503".to_owned(),
            _ => format!("sleep?ms={}", number % 7 * number % 13),
        };
        if let Ok(mut connection) = Connection::open(address).await {
            let mut asked = request(Method::GET, &format!("{path}{what}"), empty());
            asked
                .headers_mut()
                .insert(header::HOST, HeaderValue::from_static(host));
            // One that is lost is one less in the picture.
            let _ = connection.send(asked).await;
        }
        sleep(Duration::from_secs_f64(1.0 / rate(began.elapsed().as_secs_f64()))).await;
    }
}

/// Between `low` and `high`, up and down in so many minutes.
fn waves(low: f64, high: f64, minutes: f64) -> impl Fn(f64) -> f64 {
    move |seconds| low + (high - low) * (1.0 - (TAU * seconds / 60.0 / minutes).cos()) / 2.0
}

fn save(name: &str, picture: &[u8]) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/page").join(name);
    std::fs::write(file, picture).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "renews pictures, in a quarter of an hour"]
async fn the_page() {
    let (registry, mut layout) = (Registry::plain().await, Layout::new());
    for (version, name) in PUSHED.into_iter().enumerate() {
        let app = match name.split(':').next() {
            Some("hello") => App::of("c-hello", "1"),
            Some("seed") => {
                let command = Component::new("command", guest("command"));
                let seed = App::new("seed").component(command);
                seed.trigger_of("command", json!({"component": "command"}))
            }
            _ => App::of("probe", &version.to_string()),
        };
        layout.add("v1", &app);
        registry.push(&layout, "v1", &format!("acme/{name}")).await;
    }
    // What is told of files has no more of a path than anybody's.
    let builder = Daemon::builder().without_directory().arg("watch-dir");
    let (daemon, api) = with_token(builder, TOKEN).await;
    let file = |tag: &str, members: Value| {
        let mut file = json!({"reference": registry.reference(&format!("acme/{tag}")), "address": SHOP});
        let members = members.as_object().unwrap().clone();
        file.as_object_mut().unwrap().extend(members);
        file
    };
    let at = |port: u16| json!({"address": format!("127.0.0.1:{port}")});
    let shop = |path: &str| json!({"host": "shop.localhost", "path": path, "strip_path": true});
    for (app, tag, members) in [
        ("cart", "cart:2.4", shop("/cart")),
        ("checkout", "checkout:2.7", shop("/checkout")),
        ("hello", "hello:1.0", at(3000)),
        ("invoices", "invoices:7", at(3007)),
        ("seed", "seed:1.0", json!({"address": "127.0.0.1:3006"})),
        (
            "summer-sale",
            "cart:2.4",
            json!({"enabled": false, "address": "127.0.0.1:3008"}),
        ),
    ] {
        daemon.write_app(app, &file(tag, members));
    }
    let hosts = json!({"host": ["catalog.localhost", "api.shop.localhost", "www.shop.localhost"]});
    daemon.write_app("catalog", &file("catalog:1.18.2", hosts));
    let address: SocketAddr = SHOP.parse().unwrap();
    for app in ["cart", "catalog", "checkout", "hello"] {
        daemon.wait_state(app, "running").await;
    }
    daemon.write_app("second-cart", &file("cart:2.4", shop("/cart")));
    let mut clients = tokio::task::JoinSet::new();
    clients.spawn(ask(address, "shop.localhost", "/cart/", waves(4.0, 9.0, 7.0)));
    clients.spawn(ask(address, "catalog.localhost", "/", waves(8.0, 22.0, 5.0)));
    clients.spawn(ask(
        "127.0.0.1:3000".parse().unwrap(),
        "localhost",
        "/",
        waves(0.05, 0.4, 3.0),
    ));
    clients.spawn(ask(address, "shop.localhost", "/checkout/", waves(1.0, 6.0, 4.0)));
    clients.spawn(async move {
        for order in 5310.. {
            let (printed, error) = (
                format!("order%20{order}%20paid"),
                "provider%20slow,%20tried%20again",
            );
            let path = format!("/checkout/print?text={printed}&error={error}");
            if let Ok(mut connection) = Connection::open(address).await {
                let mut asked = request(Method::GET, &path, empty());
                asked
                    .headers_mut()
                    .insert(header::HOST, HeaderValue::from_static("shop.localhost"));
                let _ = connection.send(asked).await;
            }
            sleep(Duration::from_secs(7)).await;
        }
    });
    for tag in ["checkout:2.8", "checkout:2.9", "checkout:3.0"] {
        sleep(QUARTER).await;
        daemon.write_app("checkout", &file(tag, shop("/checkout")));
    }
    sleep(QUARTER).await;

    // Nobody answers there.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = silent.local_addr().unwrap();
    let resizer =
        json!({"reference": format!("{nobody}/media/image-resizer:3"), "address": "127.0.0.1:3004"});
    daemon.write_app("image-resizer", &resizer);
    let browser = Browser::start().await;
    let size = |width: u32, height: u32, scale: u32| json!({"width": width, "height": height, "deviceScaleFactor": scale, "mobile": scale > 1});
    browser
        .emulate("setDeviceMetricsOverride", size(1280, 860, 1))
        .await;
    browser.open(&format!("http://{}/", api.address)).await;
    browser.fill("#token", TOKEN).await;
    browser.click("button").await;
    browser.wait_text_in("[data-app=cart]", "running").await;
    shown(&browser).await;
    save("list.png", &browser.picture().await);
    browser
        .emulate("setDeviceMetricsOverride", size(390, 844, 2))
        .await;
    shown(&browser).await;
    save("phone.png", &browser.picture().await);
    browser
        .emulate("setDeviceMetricsOverride", size(1280, 1180, 1))
        .await;
    let dark = json!({"features": [{"name": "prefers-color-scheme", "value": "dark"}]});
    browser.emulate("setEmulatedMedia", dark).await;
    browser.click("[data-app=checkout] th a").await;
    browser.wait_text_in("#log", "order").await;
    shown(&browser).await;
    save("app.png", &browser.picture().await);
}

/// Plots are drawn, and as wide as they will be.
async fn shown(browser: &Browser) {
    crate::support::wait::until("plots that fit", async || {
        let fit = "return [...document.querySelectorAll('#numbers .plot')].length === 3 &&
            [...document.querySelectorAll('#numbers .plot')].every((plot) =>
                plot.querySelector('canvas')?.getBoundingClientRect().width === plot.clientWidth)";
        match browser.run(fit).await {
            fit if fit == true => Ok(()),
            fit => Err(fit.to_string()),
        }
    })
    .await;
}
