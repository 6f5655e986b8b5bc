//! Many apps that are asked as real ones are: few of them often, most of them seldom.

use std::sync::Arc;
use std::time::Duration;

use crate::client::{self, Extent, Load, Question, Questions};
use crate::fleet::{Addresses, Components, Fleet, apps};
use crate::stock::Stock;

const CLIENTS: usize = 64;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);
const WARM_UP: Duration = Duration::from_secs(1);

/// Hosts at one address; then an address each, where every question goes over a connection of its own.
pub fn run(name: &str, stock: &Stock) {
    for (kind, addresses) in [("hosts", Addresses::Shared), ("addresses", Addresses::Each)] {
        let mut fleet = Fleet::new(stock, apps(), Components::Different, addresses);
        for question in &mut fleet.questions {
            question.anew = matches!(addresses, Addresses::Each);
        }
        let home = stock.home();
        fleet.place(&home);
        let daemon = home.start();
        daemon.settle(apps());
        measure(&format!("{name}.{kind}"), &fleet);
    }
}

fn measure(name: &str, fleet: &Fleet) {
    let one = || client::same(&fleet.questions[0], CLIENTS);
    let many = |round| clients(&fleet.questions, round);
    client::run(one(), &Extent::Time(WARM_UP));
    client::run(many(0), &Extent::Time(WARM_UP));
    let (mut of_one, mut of_many) = (Load::default(), Load::default());
    for round in 1..=ROUNDS {
        of_one.add(client::run(one(), &Extent::Time(ROUND)));
        of_many.add(client::run(many(round), &Extent::Time(ROUND)));
    }
    for (label, load) in [("one", &of_one), ("zipf", &of_many)] {
        println!("{name}.{label}.per_second: {:.0}", load.median_rate());
        load.print(&format!("{name}.{label}"));
    }
    let ratio = of_many.median_rate() / of_one.median_rate();
    println!("{name}.ratio.zipf_to_one: {ratio:.3}");
}

/// Other questions each `round`.
pub fn clients(questions: &[Question], round: usize) -> Vec<Questions> {
    let questions: Arc<[Question]> = questions.into();
    let zipf = Zipf::new(questions.len());
    let client = |index| {
        let questions = questions.clone();
        let picks = zipf.picks((round * CLIENTS + index) as u64);
        Box::new(picks.map(move |pick| questions[pick].clone())) as Questions
    };
    (0..CLIENTS).map(client).collect()
}

/// Zipf's law: the `n`th is picked with a frequency of 1/`n` of the first.
struct Zipf {
    /// Sums of the frequencies, to the last one's, which is 1.
    sums: Arc<[f64]>,
}

impl Zipf {
    fn new(count: usize) -> Self {
        let mut sum = 0.0;
        let sums = (1..=count).map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        });
        let sums: Vec<f64> = sums.collect();
        Self {
            sums: sums.iter().map(|part| part / sum).collect(),
        }
    }

    /// The same ones for the same seed.
    fn picks(&self, seed: u64) -> impl Iterator<Item = usize> + use<> {
        let sums = self.sums.clone();
        Random(seed).map(move |chance| sums.partition_point(|sum| *sum < chance).min(sums.len() - 1))
    }
}

/// SplitMix64, as numbers from 0 to 1.
struct Random(u64);

impl Iterator for Random {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        Some((mixed >> 11) as f64 / (1u64 << 53) as f64)
    }
}
