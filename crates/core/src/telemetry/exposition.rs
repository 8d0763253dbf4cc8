//! Metrics as text, for Prometheus and whoever reads its formats.
//!
//! Own code: the library for it, `prometheus-client`, writes OpenMetrics alone, and wants to be the
//! owner of the numbers, as atomics. Ours are plain numbers under a lock.

use std::fmt::Write;

use crate::policy::meter::Histogram;

/// How metrics are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextFormat {
    /// Prometheus' text format, version 0.0.4.
    #[default]
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl TextFormat {
    /// What an HTTP answer says that has it.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What a metric's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric, as the text and the documentation tell it.
#[derive(Debug)]
pub(crate) struct Metric {
    /// Of a counter without its `_total`.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) labels: &'static [&'static str],
    pub(crate) help: &'static str,
}

impl Metric {
    /// What its values are called.
    pub(crate) fn suffix(&self) -> &'static str {
        if self.kind == Kind::Counter { "_total" } else { "" }
    }
}

/// What the labels of one value are.
pub(crate) type Labels<'a> = &'a [&'a str];

/// Writes one metric after the other.
pub(crate) struct Exposition {
    text: String,
    format: TextFormat,
}

impl Exposition {
    pub(crate) fn new(format: TextFormat) -> Self {
        Self { text: String::new(), format }
    }

    /// The next metric; its values follow.
    pub(crate) fn metric(&mut self, metric: &Metric) {
        let Metric { name, kind, help, .. } = metric;
        let word = kind.as_str();
        // Where OpenMetrics has the name of the metric, the older format has that of its values.
        let suffix = if self.format == TextFormat::Prometheus { metric.suffix() } else { "" };
        self.line(format_args!("# HELP {name}{suffix} {help}"));
        self.line(format_args!("# TYPE {name}{suffix} {word}"));
    }

    /// A value of it.
    pub(crate) fn value(&mut self, metric: &Metric, labels: Labels<'_>, value: u64) {
        self.sample(metric, metric.suffix(), labels, None, format_args!("{value}"));
    }

    /// A histogram of it.
    pub(crate) fn histogram(&mut self, of: &Metric, labels: Labels<'_>, histogram: &Histogram) {
        for (bound, count) in histogram.cumulative() {
            let bound = bound.map_or_else(|| "+Inf".into(), |bound| format!("{bound:?}"));
            self.sample(of, "_bucket", labels, Some(&bound), format_args!("{count}"));
        }
        self.sample(of, "_sum", labels, None, format_args!("{}", histogram.sum().as_secs_f64()));
        self.sample(of, "_count", labels, None, format_args!("{}", histogram.count()));
    }

    /// All of it.
    pub(crate) fn finish(mut self) -> String {
        if self.format == TextFormat::OpenMetrics {
            self.line(format_args!("# EOF"));
        }
        self.text
    }

    fn sample(
        &mut self,
        metric: &Metric,
        suffix: &str,
        labels: Labels<'_>,
        bound: Option<&str>,
        value: std::fmt::Arguments<'_>,
    ) {
        self.text.push_str(metric.name);
        self.text.push_str(suffix);
        debug_assert_eq!(metric.labels.len(), labels.len(), "{}", metric.name);
        let (names, labels) = (metric.labels.iter().copied(), labels.iter().copied());
        let mut mark = '{';
        for (name, value) in names.zip(labels).chain(bound.map(|bound| ("le", bound))) {
            self.text.push(mark);
            self.text.push_str(name);
            self.text.push_str("=\"");
            escape(value, &mut self.text);
            self.text.push('"');
            mark = ',';
        }
        if mark == ',' {
            self.text.push('}');
        }
        self.line(format_args!(" {value}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{line}");
    }
}

fn escape(value: &str, into: &mut String) {
    for character in value.chars() {
        match character {
            '\\' => into.push_str("\\\\"),
            '"' => into.push_str("\\\""),
            '\n' => into.push_str("\\n"),
            other => into.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const CALLS: Metric =
        Metric { name: "calls", kind: Kind::Counter, labels: &["pool"], help: "Calls." };
    const OPEN: Metric = Metric { name: "open", kind: Kind::Gauge, labels: &[], help: "Open." };
    const TIME: Metric =
        Metric { name: "time_seconds", kind: Kind::Histogram, labels: &["pool"], help: "Time." };

    fn written(format: TextFormat) -> String {
        let mut text = Exposition::new(format);
        text.metric(&CALLS);
        text.value(&CALLS, &["a\"b\\c\nd"], 3);
        text.metric(&OPEN);
        text.value(&OPEN, &[], 1);
        text.finish()
    }

    #[test]
    fn labels_are_escaped_and_counters_have_their_suffix() {
        assert_eq!(
            written(TextFormat::Prometheus),
            "# HELP calls_total Calls.\n# TYPE calls_total counter\n\
             calls_total{pool=\"a\\\"b\\\\c\\nd\"} 3\n\
             # HELP open Open.\n# TYPE open gauge\nopen 1\n"
        );
        let other = written(TextFormat::OpenMetrics);
        assert!(other.starts_with("# HELP calls Calls.\n# TYPE calls counter\ncalls_total{"));
        assert!(other.ends_with("# EOF\n"));
    }

    #[test]
    fn a_histogram_ends_with_all_of_it() {
        let mut histogram = Histogram::default();
        histogram.record(Duration::from_millis(20));
        histogram.record(Duration::from_secs(3600));
        let mut text = Exposition::new(TextFormat::Prometheus);
        text.metric(&TIME);
        text.histogram(&TIME, &["p"], &histogram);
        let text = text.finish();
        for line in [
            "time_seconds_bucket{pool=\"p\",le=\"0.01\"} 0",
            "time_seconds_bucket{pool=\"p\",le=\"0.025\"} 1",
            "time_seconds_bucket{pool=\"p\",le=\"300.0\"} 1",
            "time_seconds_bucket{pool=\"p\",le=\"+Inf\"} 2",
            "time_seconds_sum{pool=\"p\"} 3600.02",
            "time_seconds_count{pool=\"p\"} 2",
        ] {
            assert!(text.lines().any(|other| other == line), "no {line} in {text}");
        }
    }
}
