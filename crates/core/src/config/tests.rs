use std::time::Duration;

use serde::Deserialize;

use super::*;
use crate::value::Value;

fn json(text: &str) -> Result<PoolOptions, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

#[test]
fn every_parameter_is_read() {
    let options = json(
        r#"{"adapter": "a:B", "size": 3, "name": "models", "adapter_args": {"depth": [1, null]},
            "python": "/venv", "pythonpath": "src", "timeout": null, "idle_timeout": 1.5,
            "stream_timeout": "1h", "timeout_profile": "ml_inference",
            "max_queue": 7, "max_message": "1.5MiB", "start_timeout": "2m", "drain_timeout": "0s",
            "grace": "500ms", "affinity": "hint", "env": {"A": "1", "B": null},
            "secrets": ["TOKEN"], "worker_output": "log", "line": "native",
            "max_queue_bytes": "1KiB", "retry": {"max_attempts": 2, "backoff": ["100ms", 1],
            "jitter": "equal", "idempotent": true}, "retry_budget": {"deposit": 0},
            "circuit_breaker": {"failure_threshold": 3, "count_remote_errors": true},
            "worker_breaker": {"window": 10, "reset_timeout": "1s"},
            "crash_barrier": {"taint": "5s"}, "errors": "app:Quota", "unserializable": {},
            "telemetry": {"sampling": 0.5, "deny": "debug.*"},
            "devices": ["cuda:0", "cpu"], "control": "read"}"#,
    );
    let options = options.expect("all of them");
    assert_eq!(options.adapter.as_deref(), Some("a:B"));
    let args = options.adapter_args.expect("a table");
    assert_eq!(args.get("depth"), Some(&vec![Value::from(1), Value::None].into()));
    assert_eq!(options.pythonpath, Some(vec!["src".into()]));
    assert_eq!(
        (options.timeout, options.idle_timeout),
        (Some(None), Some(Some(Duration::from_millis(1500))))
    );
    assert_eq!(options.stream_timeout, Some(Some(Duration::from_secs(3600))));
    assert_eq!(options.timeout_profile, Some(TimeoutProfile::MlInference));
    assert_eq!(options.max_message, Some(3 << 19));
    assert_eq!(options.start_timeout, Some(Duration::from_secs(120)));
    assert_eq!(options.drain_timeout, Some(Duration::ZERO));
    assert_eq!(options.grace, Some(Duration::from_millis(500)));
    assert_eq!(options.env, Some(Env::inherit().set("A", "1").remove("B")));
    let strict = json(r#"{"env": ["strict", {"A": "{slot}", "B": ["0", "1"]}]}"#);
    let expected = Env::strict().set("A", "{slot}").set_in_turn("B", ["0", "1"]);
    assert_eq!(strict.map(|options| options.env), Ok(Some(expected)));
    assert_eq!(options.worker_output, Some(OutputMode::Log));
    assert_eq!(options.control, Some(Access::Read));
    assert_eq!(options.line, Some(Line::Native));
    assert_eq!(options.max_queue_bytes, Some(1024));
    let retry = RetryPolicy {
        max_attempts: 2,
        backoff: Backoff::List(vec![Duration::from_millis(100), Duration::from_secs(1)]),
        jitter: Jitter::Equal,
        idempotent: true,
    };
    assert_eq!(options.retry, Some(retry));
    let budget = BudgetConfig { deposit: 0, ..BudgetConfig::default() };
    assert_eq!(options.retry_budget, Some(budget));
    let limits = BreakerConfig { trip: Trip::Consecutive(3), ..BreakerConfig::default() };
    let breaker = BreakerRule { limits, count_remote_errors: true };
    assert_eq!(options.circuit_breaker, Some(breaker));
    let trip = Trip::Rate { window: 10, minimum_calls: 5, failure_rate: 0.5 };
    let limits =
        BreakerConfig { trip, reset_timeout: Duration::from_secs(1), ..BreakerConfig::default() };
    let breaker = BreakerRule { limits, count_remote_errors: false };
    assert_eq!(options.worker_breaker, Some(Some(breaker)));
    let barrier = CrashBarrier { taint: Duration::from_secs(5), ..CrashBarrier::default() };
    assert_eq!(options.crash_barrier, Some(barrier));
    assert_eq!(options.errors, Some(vec!["app:Quota".into()]));
    assert_eq!(options.unserializable, Some(Some(Unserializable::default())));
    let (sampling, deny) = (0.5, vec!["debug.*".into()]);
    let telemetry = TelemetryFilter { sampling, deny, ..TelemetryFilter::default() };
    assert_eq!(options.telemetry, Some(telemetry));
    assert_eq!(options.devices, Some(vec!["cuda:0".into(), "cpu".into()]));
}

#[test]
fn what_is_wrong_is_told_with_its_name_and_what_would_be_right() {
    for (text, expected) in [
        (r#"{"siez": 1}"#, "did you mean \"size\"?"),
        (r#"{"zebra": 1}"#, "it has adapter, size"),
        (r#"{"inline": true}"#, "only a pool in Python"),
        (r#"{"timeout": "30"}"#, "timeout: \"30\" needs a unit: ms, s, m or h"),
        (r#"{"grace": -1}"#, "grace: -1 seconds are no duration"),
        (r#"{"grace": "none"}"#, "grace: \"none\" starts with no number"),
        (r#"{"max_message": "1MB"}"#, "max_message: \"1MB\" needs a unit: B, KiB, MiB or GiB"),
        (r#"{"affinity": "loose"}"#, "affinity: unknown affinity \"loose\""),
        (r#"{"line": "tcp"}"#, "line: unknown line \"tcp\""),
        (r#"{"timeout_profile": "bach"}"#, "timeout_profile: unknown profile \"bach\""),
        (r#"{"env": "clean"}"#, "env: invalid value"),
        (r#"{"size": "two"}"#, "size: invalid type"),
        (r#"{"retry": {"attempts": 2}}"#, "retry: unknown field `attempts`"),
        (r#"{"retry": {"jitter": "some"}}"#, "retry: unknown jitter \"some\""),
        (r#"{"circuit_breaker": {"failure_rate": 0.5}}"#, "need a window"),
        (r#"{"worker_breaker": "off"}"#, "worker_breaker: invalid value: string \"off\""),
        (r#"{"worker_breaker": {"half_open_max_calls": 2}}"#, "unknown field"),
        (r#"{"worker_breaker": {"failure_threshold": 2, "failure_rate": 1}}"#, "are two ways"),
    ] {
        let error = json(text).expect_err(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn a_breaker_of_slots_keeps_its_own_defaults_and_can_be_left_out() {
    let read = |text| json(text).map(|options| options.worker_breaker);
    let usual = BreakerRule::of_slots();
    assert_eq!(read(r#"{"worker_breaker": {}}"#), Ok(Some(Some(usual))));
    for none in [r#"{"worker_breaker": null}"#, r#"{"worker_breaker": "none"}"#] {
        assert_eq!(read(none), Ok(Some(None)));
    }
    let limits = BreakerConfig { trip: Trip::Consecutive(2), ..usual.limits };
    let row = BreakerRule { limits, ..usual };
    assert_eq!(read(r#"{"worker_breaker": {"failure_threshold": 2}}"#), Ok(Some(Some(row))));
    let trip = Trip::Rate { window: 3, minimum_calls: 3, failure_rate: 0.5 };
    let short = BreakerRule { limits: BreakerConfig { trip, ..usual.limits }, ..usual };
    assert_eq!(read(r#"{"worker_breaker": {"window": 3}}"#), Ok(Some(Some(short))));
}

#[test]
fn the_guide_tells_the_defaults_of_guards() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guards.md");
    let guide = std::fs::read_to_string(path).expect("the guide");
    let (_, shown) = guide.split_once("```toml\n").expect("a configuration");
    let (shown, _) = shown.split_once("```").expect("its end");
    let options: PoolOptions = toml::from_str(shown).expect("TOML");
    let usual = Guards::default();
    assert_eq!(options.retry, Some(usual.retry));
    assert_eq!(options.retry_budget, Some(usual.retry_budget));
    assert_eq!(options.circuit_breaker, Some(BreakerRule::default()));
    assert_eq!(options.worker_breaker, Some(usual.worker_breaker));
    assert_eq!(options.crash_barrier, Some(CrashBarrier::default()));
}

#[test]
fn the_guide_tells_the_profiles_of_timeouts() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let guide = std::fs::read_to_string(path).expect("the guide");
    let (_, rows) =
        guide.split_once("| profile | `timeout` | `stream_timeout` |").expect("a table");
    let limit = |cell: &str| match cell {
        "none" => None,
        cell => Some(Duration::from_secs(cell.trim_end_matches(" s").parse().expect("seconds"))),
    };
    let rows: Vec<_> = rows.lines().skip(2).take_while(|row| row.starts_with('|')).collect();
    assert_eq!(rows.len(), 6);
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let profile: TimeoutProfile = cells[0].trim_matches('`').parse().expect("a profile");
        assert_eq!(profile.timeout(), limit(cells[1]), "{row}");
        assert_eq!(profile.stream_timeout(), limit(cells[2]), "{row}");
    }
}

#[test]
fn what_is_laid_over_counts_and_the_rest_stays() {
    let mut options = json(r#"{"size": 2, "timeout": "1s"}"#).expect("two parameters");
    options.merge(json(r#"{"timeout": null, "name": "over"}"#).expect("two parameters"));
    assert_eq!((options.size, options.timeout), (Some(2), Some(None)));
    assert_eq!(options.name.as_deref(), Some("over"));
}

#[test]
fn toml_has_its_own_words() {
    #[derive(Deserialize)]
    struct File {
        pools: std::collections::BTreeMap<String, PoolOptions>,
    }
    let file: File = toml::from_str(
        "[pools.models]\nadapter = 'a:B'\ntimeout = 'none'\nadapter_args = { rate = 0.5 }\n",
    )
    .expect("TOML");
    let models = &file.pools["models"];
    assert_eq!(models.timeout, Some(None));
    let rate = models.adapter_args.as_ref().and_then(|args| args.get("rate"));
    assert_eq!(rate.and_then(Value::as_f64), Some(0.5));
}
