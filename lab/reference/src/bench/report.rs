//! What was measured, for a terminal.

use super::measure::Measured;
use std::fmt::Write;

/// A table, with the floor beneath it.
pub fn text(measured: &Measured) -> String {
    let Measured { what, counts, needs, prices, floor_ms, loads } = measured;
    let mut text = format!("{what:?}: all parties on this machine, in one process\n\n");
    let _ = writeln!(
        text,
        "{:>8} {:>7} {:>7} {:>9} {:>9} {:>9} {:>8} {:>7} {:>10} {:>15}",
        "parallel", "done", "errors", "per s", "p50 ms", "p99 ms", "CPU ms", "floors", "ground ms", "memory MiB"
    );
    for measurement in loads {
        let load = &measurement.load;
        let _ = writeln!(
            text,
            "{:>8} {:>7} {:>7} {:>9.1} {:>9.2} {:>9.2} {:>8.3} {:>7.2} {:>10.3} {:>6.0} to {:>5.0}",
            load.parallel,
            load.done,
            load.errors,
            load.rate,
            load.p50_ms,
            load.p99_ms,
            load.cpu_ms,
            measurement.ratio,
            measurement.ground_ms,
            measurement.resident_mib.first().copied().unwrap_or_default(),
            measurement.resident_mib.last().copied().unwrap_or_default(),
        );
        if let Some(error) = &load.first_error {
            let _ = writeln!(text, "         first error: {error}");
        }
    }
    let micros = |nanos: u64| nanos as f64 / 1000.0;
    let _ = writeln!(
        text,
        "\nThe floor is {floor_ms:.3} ms of CPU: {} signatures of {:.1} µs, {} verifications of {:.1} µs, {} key agreements of \
         {:.1} µs, {} keys of {:.1} µs.",
        counts.sign,
        micros(prices.sign_ns),
        counts.verify,
        micros(prices.verify_ns),
        counts.agree,
        micros(prices.agree_ns),
        counts.generate,
        micros(prices.generate_ns),
    );
    let _ = writeln!(
        text,
        "The ground is this, and {} TLS connections, {} HTTP requests and {} durable writes with nothing of Landfall in them.",
        needs.connections.len(),
        needs.connections.iter().sum::<usize>(),
        needs.commits,
    );
    text
}
