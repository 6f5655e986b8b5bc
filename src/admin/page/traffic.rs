//! What came in the last minutes, drawn for browsers without JavaScript too: a line of bars in a row of the table, and the
//! figures that `plots.js` draws its own in the place of.

use maud::{Markup, html};

use super::parts::Reader;
use crate::metrics::{STEP, STEPS, Step};

/// Bars beside one another.
const COLUMNS: usize = 60;
/// Seconds of one.
const COLUMN: u64 = STEP.as_secs() * STEPS as u64 / COLUMNS as u64;
/// What a picture is wide, in its own units, and high.
const WIDTH: usize = COLUMNS * PITCH;
const PITCH: usize = 3;
const HEIGHT: f32 = 60.0;

/// What is drawn of the steps, in a colour.
struct Line {
    name: &'static str,
    colour: &'static str,
    value: fn(&Step) -> Option<f32>,
}

const ALL: Line = Line {
    name: "all",
    colour: "--blue",
    value: |step| Some(per_second(step.requests, step)),
};
const FAILED: Line = Line {
    name: "failed",
    colour: "--red",
    value: |step| Some(per_second(step.failed, step)),
};
const IN_FLIGHT: Line = Line {
    name: "now",
    colour: "--violet",
    value: |step| Some(step.in_flight as f32),
};
const SLOWEST: Line = Line {
    name: "p99",
    colour: "--amber",
    value: |step| step.latency.map(|latency| latency.p99),
};
const MEDIAN: Line = Line {
    name: "median",
    colour: "--blue",
    value: |step| step.latency.map(|latency| latency.median),
};

struct Figure {
    title: &'static str,
    /// What is drawn later is in front.
    lines: &'static [Line],
    show: fn(f32) -> String,
}

/// Each as `plots.js` has it.
const FIGURES: [Figure; 3] = [
    Figure {
        title: "Requests",
        lines: &[ALL, FAILED],
        show: rate,
    },
    Figure {
        title: "In flight",
        lines: &[IN_FLIGHT],
        show: short,
    },
    Figure {
        title: "Latency",
        lines: &[SLOWEST, MEDIAN],
        show: time,
    },
];

/// A picture in a row of the table, if anything came.
pub(super) fn spark(steps: &[Step], reader: &Reader) -> Markup {
    let lines = [ALL, FAILED];
    html! {
        @if !steps.is_empty() {
            (bars(&lines, steps, reader, &format!("At most {}", rate(most(&lines, steps)))))
        }
    }
}

/// How many requests there were a second, in the last step.
pub(super) fn rate_now(steps: &[Step]) -> Option<String> {
    let last = steps.last()?;
    (last.requests > 0).then(|| rate(per_second(last.requests, last)))
}

/// All that is known of the last minutes.
pub(super) fn figures(steps: &[Step], reader: &Reader) -> Markup {
    html! {
        @for Figure { title, lines, show } in FIGURES {
            @let most = most(lines, steps);
            figure {
                figcaption {
                    (title)
                    @for line in lines {
                        span.line data-colour=(line.colour) {
                            (line.name) " " b { (steps.last().and_then(line.value).map_or("–".to_owned(), show)) }
                        }
                    }
                }
                div.plot {
                    span.most { "At most " (show(most)) " in " (COLUMN * COLUMNS as u64 / 60) " minutes" }
                    (bars(lines, steps, reader, title))
                }
            }
        }
    }
}

fn most(lines: &[Line], steps: &[Step]) -> f32 {
    let values = lines.iter().flat_map(|line| steps.iter().filter_map(line.value));
    values.fold(0.0, f32::max)
}

/// Each bar is the highest value of its seconds.
fn bars(lines: &[Line], steps: &[Step], reader: &Reader, label: &str) -> Markup {
    let most = most(lines, steps);
    html! {
        svg.bars viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" role="img" aria-label=(label) {
            title { (label) }
            @for line in lines { path data-colour=(line.colour) d=(path(line, steps, reader, most)) {} }
        }
    }
}

fn path(line: &Line, steps: &[Step], reader: &Reader, most: f32) -> String {
    let mut columns = [0.0_f32; COLUMNS];
    for step in steps {
        let age = reader.seconds_since(step.until) / COLUMN;
        if let Some(column) = COLUMNS.checked_sub(1 + age as usize) {
            columns[column] = columns[column].max((line.value)(step).unwrap_or(0.0));
        }
    }
    let bars = columns.into_iter().enumerate().filter(|(_, value)| *value > 0.0);
    let bars = bars.map(|(column, value)| {
        // Whatever there is can be seen.
        let height = (value / most * HEIGHT).round().max(1.0);
        format!("M{} {HEIGHT}v-{height}", column * PITCH + PITCH / 2)
    });
    bars.collect()
}

fn per_second(count: u32, step: &Step) -> f32 {
    count as f32 / step.seconds
}

fn rate(value: f32) -> String {
    format!("{}/s", short(value))
}

fn time(seconds: f32) -> String {
    match seconds < 1.0 {
        true => format!("{} ms", short(seconds * 1000.0)),
        false => format!("{} s", short(seconds)),
    }
}

/// Two or three digits that count.
fn short(value: f32) -> String {
    let digits = match value {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use axum::http::HeaderMap;

    use super::*;

    #[test]
    fn bars_are_as_high_as_their_share_of_the_most_and_where_their_time_is() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(10_000);
        let reader = Reader::new(&HeaderMap::new(), now);
        let step = |age: u32, requests, failed| Step {
            until: 10_000 - age,
            seconds: 5.0,
            requests,
            failed,
            in_flight: 0,
            latency: None,
        };
        let steps = [
            step(700, 1000, 0),
            step(599, 25, 0),
            step(12, 50, 0),
            step(7, 10, 1),
            step(2, 50, 0),
        ];
        assert_eq!(
            path(&ALL, &steps[1..], &reader, 10.0),
            "M1 60v-30M175 60v-60M178 60v-60"
        );
        // Too old for the picture; and little of something is not nothing.
        assert_eq!(path(&FAILED, &steps, &reader, 200.0), "M178 60v-1");
        assert_eq!(rate_now(&steps).as_deref(), Some("10/s"));
        let html = spark(&steps[1..], &reader).into_string();
        assert!(html.contains("<title>At most 10/s</title>"), "{html}");
        assert_eq!(spark(&[], &reader).into_string(), "");
    }

    #[test]
    fn numbers_are_as_long_as_they_say_something() {
        for (value, text) in [
            (0.0, "0"),
            (0.234, "0.23"),
            (1.5, "1.5"),
            (45.26, "45.3"),
            (100.0, "100"),
            (310.2, "310"),
        ] {
            assert_eq!(short(value), text);
        }
        assert_eq!((time(0.003_65), time(2.0)), ("3.65 ms".into(), "2 s".into()));
    }
}
