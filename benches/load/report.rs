//! What figures are made of.

use std::time::Duration;

pub fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Prints `NAME.LABEL_ms`, where at most half and a hundredth of the times are longer, and the longest.
pub fn print_times(name: &str, times: &[Duration]) {
    let mut times = times.to_vec();
    times.sort();
    for (label, quantile) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
        let index = ((times.len() - 1) as f64 * quantile).round() as usize;
        println!("{name}.{label}_ms: {:.2}", milliseconds(times[index]));
    }
}

pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
