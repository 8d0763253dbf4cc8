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
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = Pool::builder("adapters:Words")
        .size(2)
        .python(snakepit_examples::python()?) // default: $VIRTUAL_ENV, else python3
        .pythonpath(snakepit_examples::FOLDER)
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
