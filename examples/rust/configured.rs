//! A pool that is described by a file, `pool.toml` of the working directory.

use std::error::Error;
use std::process::ExitCode;

use snakepit::value::Map;
use snakepit::{Pool, PoolOptions};
use snakepit_examples::ended;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ended(run().await)
}

async fn run() -> Result<(), Box<dyn Error>> {
    let options: PoolOptions = toml::from_str(&std::fs::read_to_string("pool.toml")?)?;
    let pool = Pool::from_config(options).start().await?;

    let half: f64 = pool.execute("divide", Map::from([("a", 1), ("b", 2)])).await?;
    println!("{half}");
    pool.shutdown().await;
    Ok(())
}
