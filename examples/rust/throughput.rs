//! How many calls a second: `cargo run --release --example throughput -- --workers 2 --inflight 64`.
//!
//! *Host CPU* is the user and system time of this process alone.

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};
use snakepit::Pool;
use snakepit_examples::{FOLDER, Options, ended};

const USAGE: &str = "\
How many calls a second.

  --workers N    default: 2
  --inflight N   calls under way at a time; default: 64
  --seconds N    how long it is measured; default: 3
  --stream       items of streams instead of calls, one stream a worker
  --json         for machines
  --python PATH  the workers' interpreter; default: $VIRTUAL_ENV, else .venv of this checkout
";

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Item {
    x: u64,
}

/// Seconds; longer is a slip, and what is kept of each call would fill the memory.
const LONGEST: f64 = 3600.0;

/// What one task saw.
#[derive(Default)]
struct Seen {
    count: u64,
    /// Of each call, in nanoseconds.
    latencies: Vec<u64>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ended(measure().await)
}

async fn measure() -> Result<(), Box<dyn Error>> {
    let options = Options::read(USAGE)?;
    let workers: usize = options.value("--workers")?.unwrap_or(2);
    let inflight: usize = options.value("--inflight")?.unwrap_or(64);
    let seconds: f64 = options.value("--seconds")?.unwrap_or(3.0);
    if inflight == 0 {
        return Err("--inflight: one call at least is needed".into());
    }
    if !(seconds > 0.0 && seconds <= LONGEST) {
        return Err(format!("--seconds: above 0 and up to {LONGEST} are needed").into());
    }
    let pool = Pool::builder("adapters:Echo")
        .size(workers)
        .max_queue(inflight.max(1000))
        .python(options.python()?)
        .pythonpath(FOLDER)
        .start()
        .await?;
    pool.await_ready(None).await?;

    let streams = options.has("--stream");
    let run = async |length: f64| -> Result<(Seen, f64, f64), snakepit::Error> {
        let (began, cpu) = (Instant::now(), cpu_seconds());
        let until = began + Duration::from_secs_f64(length);
        let tasks: Vec<_> = (0..if streams { workers } else { inflight })
            .map(|_| match streams {
                true => tokio::spawn(read(pool.clone(), until)),
                false => tokio::spawn(call(pool.clone(), until)),
            })
            .collect();
        let mut all = Seen::default();
        for task in tasks {
            let seen = task.await.expect("no task panics")?;
            all.count += seen.count;
            all.latencies.extend(seen.latencies);
        }
        Ok((all, began.elapsed().as_secs_f64(), cpu_seconds() - cpu))
    };
    run(seconds.min(0.3)).await?; // warm: imports, caches, the depth of the prefetch
    let (seen, took, cpu) = run(seconds).await?;
    pool.shutdown().await;
    report(&options, (workers, inflight), seen, took, cpu);
    Ok(())
}

async fn call(pool: Pool, until: Instant) -> Result<Seen, snakepit::Error> {
    let mut seen = Seen::default();
    let mut began = Instant::now();
    while began < until {
        let sent = Item { x: seen.count };
        let back: Item = pool.execute("echo", &sent).await?;
        assert_eq!(back, sent, "an answer went astray");
        let now = Instant::now();
        seen.latencies.push((now - began).as_nanos() as u64);
        seen.count += 1;
        began = now;
    }
    Ok(seen)
}

async fn read(pool: Pool, until: Instant) -> Result<Seen, snakepit::Error> {
    let mut seen = Seen::default();
    let mut items = pool.execute_stream::<Item>("count_up", ())?;
    while let Some(item) = items.next().await {
        assert_eq!(item?.x, seen.count, "an item went astray");
        seen.count += 1;
        // The clock is dearer than an item.
        if seen.count % 256 == 0 && Instant::now() >= until {
            break;
        }
    }
    Ok(seen)
}

fn cpu_seconds() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("a process knows its own usage");
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

fn report(
    options: &Options,
    (workers, inflight): (usize, usize),
    mut seen: Seen,
    took: f64,
    cpu: f64,
) {
    let rate = seen.count as f64 / took;
    let cpu = cpu * 1e6 / seen.count.max(1) as f64;
    seen.latencies.sort_unstable();
    let at = |part: f64| {
        let place = (seen.latencies.len().saturating_sub(1) as f64 * part) as usize;
        seen.latencies.get(place).map(|&nanos| nanos as f64 / 1e3)
    };
    let (p50, p99) = (at(0.5), at(0.99));
    if options.has("--json") {
        let what = if p50.is_some() { "calls" } else { "items" };
        let told = serde_json::json!({
            "what": what, "workers": workers, "inflight": inflight, "seconds": took,
            "per_second": rate, "p50_us": p50, "p99_us": p99, "host_cpu_us": cpu,
        });
        println!("{told}");
        return;
    }
    match (p50, p99) {
        (Some(p50), Some(p99)) => println!(
            "workers {workers}, in flight {inflight}: {rate:.0} calls/s, p50 {p50:.0} µs, p99 \
             {p99:.0} µs, host CPU {cpu:.2} µs a call"
        ),
        _ => println!("workers {workers}: {rate:.0} items/s, host CPU {cpu:.3} µs an item"),
    }
}
