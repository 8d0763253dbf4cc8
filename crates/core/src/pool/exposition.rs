//! The metrics of pools as text: the table of them that the text and its documentation share.

use std::collections::BTreeMap;

use super::metrics::{PoolMetrics, STATES, ToolMetrics};
use super::state::Counters;
use crate::policy::breaker::BreakerState;
use crate::policy::meter::Histogram;
use crate::telemetry::{Exposition, Kind, Metric, TextFormat};

const POOL: &[&str] = &["pool"];
const TOOL: &[&str] = &["pool", "tool"];

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, labels: POOL, help }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, labels: POOL, help }
}

const fn histogram(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, labels: TOOL, help }
}

const fn by(labels: &'static [&'static str], metric: Metric) -> Metric {
    Metric { labels, ..metric }
}

/// All of them, in the order in which they are written.
const METRICS: &[Metric] = &[
    by(
        &["pool", "tool", "outcome"],
        counter(
            "snakepit_calls",
            "Calls that were admitted and have ended, by outcome: ok, or the word of their error.",
        ),
    ),
    by(
        &["pool", "reason"],
        counter(
            "snakepit_calls_rejected",
            "Calls that were refused at the door, by the word of their error.",
        ),
    ),
    histogram("snakepit_call_duration_seconds", "From the call to its end."),
    histogram(
        "snakepit_queue_wait_seconds",
        "The part of that in which the call did not run: in the queue, in a busy worker, in tries \
         that failed.",
    ),
    histogram(
        "snakepit_execution_seconds",
        "The part of that in which a worker had the call, of calls that a worker has begun.",
    ),
    gauge("snakepit_queue_depth", "Calls that wait for a worker."),
    gauge("snakepit_queue_bytes", "Bytes of the arguments of calls that wait."),
    gauge("snakepit_calls_running", "Calls in workers."),
    counter("snakepit_queue_timeouts", "Calls whose deadline passed before a worker began them."),
    counter("snakepit_streams", "Streams that were admitted."),
    gauge("snakepit_streams_open", "Streams under way."),
    counter("snakepit_retries", "Calls that were made again because their worker had died."),
    counter("snakepit_retries_refused", "Calls that were not, because the retry budget was empty."),
    gauge("snakepit_retry_tokens", "Tokens left in the retry budget."),
    by(&["pool", "state"], gauge("snakepit_workers", "Workers, by state.")),
    by(
        &["pool", "reason"],
        counter("snakepit_worker_ends", "Workers that ended and were replaced, by reason."),
    ),
    counter("snakepit_worker_restarts", "Workers started to replace another."),
    counter("snakepit_worker_deaths", "Workers that ended without being asked to."),
    gauge(
        "snakepit_workers_barred",
        "Workers that get no new calls, or one at a time, because they kept dying.",
    ),
    by(
        &["pool", "state"],
        gauge(
            "snakepit_circuit_breaker",
            "1 for the state that the circuit breaker is in, of pools that have one.",
        ),
    ),
    gauge("snakepit_sessions", "Sessions that are open."),
    gauge("snakepit_shared_memory_segments", "Segments of shared memory for arguments."),
    gauge("snakepit_shared_memory_bytes", "Bytes of memory behind them."),
    gauge(
        "snakepit_shared_memory_used_bytes",
        "Of those the bytes of segments that hold something.",
    ),
    gauge(
        "snakepit_shared_memory_borrowed_bytes",
        "Bytes of segments of workers that are mapped here.",
    ),
    counter("snakepit_shared_memory_reused", "Values that were put where others had been."),
    counter("snakepit_shared_memory_made", "Values that needed a new segment."),
    counter(
        "snakepit_shared_memory_faults",
        "Times that the system refused memory or a descriptor, or a worker a segment.",
    ),
    counter("snakepit_shared_memory_fallbacks", "Values that went over the line instead."),
    counter(
        "snakepit_output_lines_dropped",
        "Lines of workers that were not passed on because there were too many.",
    ),
];

/// The metrics of pools in one text. Pools of the same name are added: nothing tells them apart.
#[must_use]
pub fn metrics_text(pools: &[PoolMetrics], format: TextFormat) -> String {
    let mut samples = Samples::default();
    pools.iter().for_each(|pool| samples.collect(pool));
    let mut text = Exposition::new(format);
    for metric in METRICS {
        let Some(values) = samples.0.get(metric.name) else { continue };
        text.metric(metric);
        for (labels, value) in values {
            let labels: Vec<_> = labels.iter().map(String::as_str).collect();
            match value {
                Value::Number(number) => text.value(metric, &labels, *number),
                Value::Times(histogram) => text.histogram(metric, &labels, histogram),
            }
        }
    }
    text.finish()
}

/// All metrics as a table of Markdown, one row each.
#[must_use]
pub fn metrics_table() -> String {
    let mut table = String::from("| metric | kind | labels | what |\n|---|---|---|---|\n");
    for metric in METRICS {
        let Metric { name, kind, labels, help } = metric;
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let (suffix, kind, labels) = (metric.suffix(), kind.as_str(), labels.join(", "));
        table += &format!("| `{name}{suffix}` | {kind} | {labels} | {help} |\n");
    }
    table
}

enum Value {
    Number(u64),
    Times(Histogram),
}

/// Values by their labels, by metric.
#[derive(Default)]
struct Samples(BTreeMap<&'static str, BTreeMap<Vec<String>, Value>>);

impl Samples {
    fn put(&mut self, metric: &'static str, labels: &[&str], value: Value) {
        let labels = labels.iter().map(|&label| label.to_owned()).collect();
        let values = self.0.entry(metric).or_default();
        match (values.get_mut(&labels), value) {
            (Some(Value::Number(known)), Value::Number(more)) => *known += more,
            (Some(Value::Times(known)), Value::Times(more)) => known.add(&more),
            (_, value) => {
                values.insert(labels, value);
            }
        }
    }

    fn number(&mut self, metric: &'static str, labels: &[&str], number: impl TryInto<u64>) {
        self.put(metric, labels, Value::Number(number.try_into().unwrap_or(u64::MAX)));
    }

    fn collect(&mut self, metrics: &PoolMetrics) {
        let pool = metrics.pool.as_str();
        for tool in &metrics.tools {
            self.collect_tool(pool, tool);
        }
        for (reason, count) in &metrics.rejected {
            self.number("snakepit_calls_rejected", &[pool, reason], *count);
        }
        for (reason, count) in &metrics.restarts {
            self.number("snakepit_worker_ends", &[pool, reason], *count);
        }
        for state in STATES {
            let count = metrics.workers.get(state).copied().unwrap_or_default();
            self.number("snakepit_workers", &[pool, state], count);
        }
        self.number("snakepit_streams", &[pool], metrics.streams);
        self.number("snakepit_streams_open", &[pool], metrics.streaming);
        self.number("snakepit_output_lines_dropped", &[pool], metrics.lines_dropped);
        self.collect_stats(pool, metrics);
    }

    fn collect_tool(&mut self, pool: &str, metrics: &ToolMetrics) {
        let tool = &*metrics.tool;
        for (outcome, count) in &metrics.ended {
            self.number("snakepit_calls", &[pool, tool, outcome], *count);
        }
        let times = [
            ("snakepit_call_duration_seconds", metrics.duration),
            ("snakepit_queue_wait_seconds", metrics.queue_wait),
            ("snakepit_execution_seconds", metrics.execution),
        ];
        for (metric, histogram) in times {
            self.put(metric, &[pool, tool], Value::Times(histogram));
        }
    }

    fn collect_stats(&mut self, pool: &str, PoolMetrics { stats, .. }: &PoolMetrics) {
        let Counters { queue_timeouts, retries, retries_refused, .. } = stats.counters;
        let Counters { restarts, worker_deaths, .. } = stats.counters;
        self.number("snakepit_queue_timeouts", &[pool], queue_timeouts);
        self.number("snakepit_retries", &[pool], retries);
        self.number("snakepit_retries_refused", &[pool], retries_refused);
        self.number("snakepit_worker_restarts", &[pool], restarts);
        self.number("snakepit_worker_deaths", &[pool], worker_deaths);
        self.number("snakepit_queue_depth", &[pool], stats.queued);
        self.number("snakepit_queue_bytes", &[pool], stats.queued_bytes);
        self.number("snakepit_calls_running", &[pool], stats.running);
        self.number("snakepit_retry_tokens", &[pool], stats.retry_tokens);
        self.number("snakepit_workers_barred", &[pool], stats.barred);
        self.number("snakepit_sessions", &[pool], stats.sessions);
        if let Some(circuit) = stats.circuit {
            for state in [BreakerState::Closed, BreakerState::Open, BreakerState::HalfOpen] {
                let labels = [pool, state.as_str()];
                self.number("snakepit_circuit_breaker", &labels, u64::from(state == circuit));
            }
        }
        let Some(memory) = stats.shared_memory else { return };
        self.number("snakepit_shared_memory_segments", &[pool], memory.segments);
        self.number("snakepit_shared_memory_bytes", &[pool], memory.bytes);
        self.number("snakepit_shared_memory_used_bytes", &[pool], memory.in_use);
        self.number("snakepit_shared_memory_borrowed_bytes", &[pool], memory.borrowed);
        self.number("snakepit_shared_memory_reused", &[pool], memory.reused);
        self.number("snakepit_shared_memory_made", &[pool], memory.made);
        self.number("snakepit_shared_memory_faults", &[pool], memory.faults);
        self.number("snakepit_shared_memory_fallbacks", &[pool], memory.fallbacks);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::stats::PoolStats;
    use super::*;
    use crate::process::arena::ArenaStats;

    fn whole(pool: &str) -> PoolMetrics {
        let mut times = Histogram::default();
        times.record(std::time::Duration::from_millis(1));
        let tool = ToolMetrics {
            tool: "echo".into(),
            ended: vec![("ok", 2)],
            queue_wait: times,
            execution: times,
            duration: times,
        };
        PoolMetrics {
            pool: pool.into(),
            stats: PoolStats {
                circuit: Some(BreakerState::Open),
                shared_memory: Some(ArenaStats { bytes: 7, ..Default::default() }),
                ..Default::default()
            },
            tools: vec![tool],
            rejected: [("queue_full", 1)].into(),
            restarts: [("oom".into(), 1)].into(),
            workers: [("ready", 2)].into(),
            streams: 5,
            streaming: 1,
            lines_dropped: 0,
        }
    }

    #[test]
    fn every_metric_of_the_table_is_written_and_no_other() {
        let mut samples = Samples::default();
        samples.collect(&whole("p"));
        let written: BTreeSet<_> = samples.0.keys().copied().collect();
        let listed: BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(written, listed);
        assert_eq!(listed.len(), METRICS.len(), "a name is there twice");
        for Metric { name, kind, .. } in METRICS {
            assert_eq!(*kind == Kind::Histogram, name.ends_with("_seconds"), "{name}");
            assert!(!name.ends_with("_total"), "{name}");
        }
    }

    #[test]
    fn pools_of_one_name_are_added_since_a_series_may_be_there_once() {
        let text = metrics_text(&[whole("p"), whole("p"), whole("q")], TextFormat::Prometheus);
        let count = |line: &str| text.lines().filter(|other| *other == line).count();
        assert_eq!(count("snakepit_calls_total{pool=\"p\",tool=\"echo\",outcome=\"ok\"} 4"), 1);
        assert_eq!(count("snakepit_calls_total{pool=\"q\",tool=\"echo\",outcome=\"ok\"} 2"), 1);
        assert_eq!(count("snakepit_execution_seconds_count{pool=\"p\",tool=\"echo\"} 2"), 1);
        assert_eq!(count("snakepit_shared_memory_bytes{pool=\"p\"} 14"), 1);
        assert_eq!(count("snakepit_circuit_breaker{pool=\"q\",state=\"open\"} 1"), 1);
        assert_eq!(count("# TYPE snakepit_calls_total counter"), 1);
    }
}
