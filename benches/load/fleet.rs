//! Many apps.

use crate::app::App;
use crate::artifact::Hello;
use crate::client::Question;
use crate::daemon::Home;
use crate::stock::Stock;
use crate::{address, setting};

/// How many are many: APPS, or ten thousand.
pub fn apps() -> usize {
    setting::number("APPS", 10_000)
}

#[derive(Clone, Copy)]
pub enum Components {
    /// A digest each.
    Different,
    /// All name one digest.
    Same,
}

#[derive(Clone, Copy)]
pub enum Addresses {
    Each,
    /// One address, a host each.
    Shared,
}

/// Their files, and what to ask them.
pub struct Fleet {
    apps: Vec<App>,
    pub questions: Vec<Question>,
}

impl Fleet {
    pub fn new(stock: &Stock, count: usize, components: Components, addresses: Addresses) -> Self {
        let same = stock.hello(Hello::Small);
        let reference = |index| match components {
            Components::Different => stock.different(index),
            Components::Same => same.clone(),
        };
        let shared = address::next();
        let app = |index| {
            let reference = reference(index);
            match addresses {
                Addresses::Each => {
                    let app = App::new(&reference);
                    let question = Question::root(app.address);
                    (app, question)
                }
                Addresses::Shared => {
                    let host = format!("app-{index}.example");
                    let app = App::at(shared, &reference).with("host", host.as_str());
                    (app, Question::of_host(shared, &host, "/"))
                }
            }
        };
        let (apps, questions) = (0..count).map(app).unzip();
        Self { apps, questions }
    }

    /// Writes the files.
    pub fn place(&self, home: &Home) {
        for (index, app) in self.apps.iter().enumerate() {
            home.write(&name(index), &app.json());
        }
    }
}

/// Of an app's file, without its ending.
pub fn name(index: usize) -> String {
    format!("app-{index}")
}
