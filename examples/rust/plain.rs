use std::time::Duration;

use serde::{Deserialize, Serialize};
use snakepit::value::Map;
use snakepit::{Error, Pool};

#[derive(Serialize)]
struct Text<'a> {
    text: &'a str,
}

#[derive(Deserialize, Debug)]
struct Counted {
    words: u64,
    longest: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if let Err(error) = run().await {
        eprintln!("error: {error}"); // it says what to do
        std::process::exit(1);
    }
}

async fn run() -> Result<(), Error> {
    let pool = Pool::builder("adapters:Words") // run by the Python of $VIRTUAL_ENV, else python3
        .size(2)
        .pythonpath(env!("CARGO_MANIFEST_DIR")) // adapters.py is beside Cargo.toml
        .start()
        .await?;

    let text = Text { text: "a call is a future" };
    let Counted { words, longest } = pool.execute("count", &text).await?;
    println!("{words} words, the longest is {longest}");

    let mut stream = pool.execute_stream::<String>("split", &text)?;
    while let Some(word) = stream.next().await {
        println!("- {}", word?);
    }

    let session = pool.session("user_42"); // its calls share one worker, and its state
    for note in ["one", "two"] {
        let kept: usize = session.execute("remember", Map::from([("note", note)])).await?;
        println!("{kept} kept");
    }

    let quotient = pool.call("divide").args(Map::from([("a", 1), ("b", 0)]));
    match quotient.timeout(Duration::from_secs(5)).execute::<f64>().await {
        Err(Error::Remote { failure, .. }) => println!("Python raised {}", failure.type_name),
        other => println!("unexpected: {other:?}"),
    }
    pool.shutdown().await;
    Ok(())
}
