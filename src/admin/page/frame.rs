//! What is around the apps, and how to log in.

use maud::{DOCTYPE, Markup, html};

pub(super) fn page(title: &str, logged_in: bool, main: Markup) -> Markup {
    let content = html! {
        header {
            a.brand href=(super::PATH) { "lepton" }
            span #connection role="status" {}
            @if logged_in {
                form method="post" action="/logout" { button type="submit" { "Log out" } }
            }
        }
        (main)
        noscript { p.note { "Without JavaScript this page shows what was when it was loaded." } }
    };
    document(title, content, true)
}

/// `refused`: why the last token was not taken.
pub(super) fn login(refused: Option<&str>) -> Markup {
    let content = html! {
        main.login {
            h1 { "lepton" }
            form method="post" action="/login" {
                label for="token" { "Token" }
                input #token type="password" name="token" autocomplete="current-password" required autofocus;
                @if let Some(refused) = refused { p.error role="alert" { (refused) } }
                button type="submit" { "Log in" }
                p.note { "It is a line of the file of " code { "--admin-token-file" } "." }
            }
        }
    };
    document("Log in", content, false)
}

fn document(title: &str, content: Markup, scripts: bool) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · lepton" }
                link rel="icon" href="/page/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/page/page.css";
                @if scripts {
                    link rel="stylesheet" href="/page/uPlot.min.css";
                    script src="/page/uPlot.iife.min.js" defer {}
                    script src="/page/page.js" type="module" {}
                }
            }
            body { (content) }
        }
    }
}
