use serde::{Deserialize, Serialize};
use snakepit::{Error, Pool};

#[derive(Serialize)]
struct Text<'a> {
    text: &'a str,
}

#[derive(Serialize)]
struct Note {
    note: String,
}

#[derive(Deserialize, Debug)]
struct Counted {
    words: u64,
    longest: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = Pool::builder("adapters:Words")
        .size(2)
        .python(snakepit_examples::python()?) // default: $VIRTUAL_ENV, else python3
        .pythonpath(snakepit_examples::FOLDER)
        .start()
        .await?;

    let text = Text { text: "calls are futures and streams are streams" };
    let Counted { words, longest } = pool.execute("count", &text).await?;
    println!("{words} words, the longest is {longest:?}");

    let mut stream = pool.execute_stream::<String>("split", &text)?;
    while let Some(word) = stream.next().await {
        print!("{} ", word?);
    }
    println!();

    let session = pool.session("user_42"); // its calls share one worker, and its state
    for note in ["one", "two"] {
        let notes: usize = session.execute("remember", Note { note: note.into() }).await?;
        println!("{notes} kept");
    }

    let divided = pool.call("divide").args([("a", 1), ("b", 0)].into_iter().collect::<Args>());
    match divided.execute::<f64>().await {
        Err(Error::Remote { failure, .. }) => println!("Python raised {}", failure.type_name),
        other => println!("unexpected: {other:?}"),
    }
    pool.shutdown().await;
    Ok(())
}

type Args = std::collections::HashMap<&'static str, i32>;
