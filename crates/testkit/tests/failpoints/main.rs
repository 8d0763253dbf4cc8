//! Whatever fails in whichever state of the protocol: calls end once, with an error that says why,
//! and the pool serves on. `cargo test -p snakepit-testkit --features failpoints`.
//!
//! What is armed is armed for the process, so these tests take turns.

mod deadline;
mod starts;
mod states;

use snakepit::failpoint::{Guard, Plan, arm};
use tokio::sync::{Mutex, MutexGuard};

static TURN: Mutex<()> = Mutex::const_new(());

/// A plan that is armed, and nobody else's turn meanwhile.
struct Armed {
    plan: Guard,
    _turn: MutexGuard<'static, ()>,
}

async fn armed(plan: &str) -> Armed {
    let plan: Plan = plan.parse().unwrap_or_else(|error| panic!("{error}"));
    let turn = TURN.lock().await;
    Armed { plan: arm(plan), _turn: turn }
}

#[tokio::test]
async fn a_plan_that_makes_no_sense_is_an_error_of_the_pool_that_would_follow_it() {
    let _turn = TURN.lock().await;
    // In a process of its own: the environment is everybody's.
    let myself = std::env::current_exe().expect("the path of this program");
    let mut asked = std::process::Command::new(myself);
    asked.args(["--exact", "a_pool_of_the_environment", "--ignored", "--nocapture"]);
    let told = asked.env("SNAKEPIT_FAIL", "spwan:5%").output().expect("a program that runs");
    let told = String::from_utf8_lossy(&told.stdout);
    assert!(told.contains("SNAKEPIT_FAIL: \"spwan:5%\": there is no point \"spwan\""), "{told}");
    let mut asked = std::process::Command::new(std::env::current_exe().expect("as above"));
    asked.args(["--exact", "a_pool_of_the_environment", "--ignored", "--nocapture"]);
    let told = asked.env("SNAKEPIT_FAIL", "run:once").output().expect("a program that runs");
    let told = String::from_utf8_lossy(&told.stdout);
    assert!(told.contains("planned at Run"), "{told}");
}

#[tokio::test]
async fn a_pool_of_python_workers_refuses_a_plan_that_none_of_them_would_keep_to() {
    let _armed = armed("spawn:0%,run:once").await;
    let refused = snakepit_testkit::pool(1).sdk("/opt/snakepit_bridge").try_open().err();
    let told = refused.expect("no Python worker passes `run`").to_string();
    assert!(told.contains("SNAKEPIT_FAIL: no Python worker passes run, only"), "{told}");
}

#[tokio::test]
#[ignore = "the other half of the test before it, which gives it an environment"]
async fn a_pool_of_the_environment() {
    let config = snakepit_testkit::pool(1).try_open();
    match config {
        Err(error) => println!("{error}"),
        Ok(pool) => {
            println!("{:?}", pool.run("echo", "").await);
            pool.finish().await;
        }
    }
}

#[test]
fn a_build_with_failpoints_names_the_variable_so_that_one_without_can_be_told() {
    // `tests/repo/test_failpoints.py` looks for it in the wheel.
    let myself = std::env::current_exe().expect("the path of this program");
    let code = std::fs::read(myself).expect("a program");
    let name = snakepit::failpoint::VARIABLE.as_bytes();
    assert!(code.windows(name.len()).any(|part| part == name));
}
