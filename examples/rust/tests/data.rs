//! Arrays of `ndarray` and batches of arrow-rs, to Python tools and back.

mod common;

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use common::{face, finish};
use ndarray::{Array2, s};
use serde::Serialize;
use snakepit::value::{Array, Arrow, ArrowKind, Batch, Nd, Table};
use snakepit::{Error, Pool, Value};

const ROWS: usize = 50_000;

#[derive(Serialize)]
struct Matrix<T> {
    matrix: T,
}

#[derive(Serialize)]
struct Prices<T> {
    prices: T,
}

/// Whether the workers have what these tests need; where they are named they must.
async fn has(pool: &Pool, library: &str, sample: Value) -> bool {
    match pool
        .execute::<String>("type_of", std::collections::HashMap::from([("value", sample)]))
        .await
    {
        Ok(_) => true,
        Err(error) => {
            assert!(error.to_string().contains(library), "{error}");
            eprintln!("skipped: no {library} where the workers are");
            false
        }
    }
}

fn prices() -> RecordBatch {
    let price = Float64Array::from_iter_values((0..ROWS).map(|row| row as f64));
    let name = StringArray::from_iter_values((0..ROWS).map(|row| format!("n{row}")));
    let columns = [("price", Arc::new(price) as ArrayRef), ("name", Arc::new(name) as ArrayRef)];
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

fn sum(batch: &RecordBatch) -> f64 {
    let column = batch.column(0).as_any().downcast_ref::<Float64Array>();
    column.expect("floats").values().iter().sum()
}

#[tokio::test]
async fn arrays_of_ndarray_are_numpys_and_come_back() {
    let Some((builder, mark)) = face() else { return };
    let pool = builder.start().await.expect("a pool");
    if has(&pool, "numpy", Array::from_items(&[1], &[1]).expect("one").into()).await {
        let matrix = Array2::from_shape_fn((1000, 40), |(row, column)| (row % 7 + column) as f64);
        // As it lies, in Fortran order, and with strides.
        for view in [matrix.view(), matrix.t(), matrix.slice(s![.., ..;2])] {
            let Nd(gram): Nd<Array2<f64>> =
                pool.execute("gram", Matrix { matrix: Nd(view) }).await.expect("a product");
            assert_eq!(gram, view.t().dot(&view));
        }
        let call = Matrix { matrix: Nd(matrix.view()) };
        let flipped: Array = pool.execute("flipped", call).await.expect("an array");
        assert_eq!(flipped.view::<f64>().expect("doubles"), matrix.t().into_dyn());

        let wrong = pool.execute::<Nd<Array2<f32>>>("flipped", Matrix { matrix: Nd(matrix) }).await;
        assert!(matches!(&wrong, Err(Error::Decode { message, .. }) if message.contains("<f8")));
        let memory = pool.stats().shared_memory.expect("by default there is some");
        assert!(memory.made + memory.reused >= 4, "{memory:?}");
        assert_eq!(memory.fallbacks, 0);
    }
    finish(pool, mark).await;
}

#[tokio::test]
async fn record_batches_are_pyarrows_and_come_back() {
    let Some((builder, mark)) = face() else { return };
    let pool = builder.start().await.expect("a pool");
    let sent = prices();
    let small = Arrow::from_batch(&sent.slice(0, 1)).expect("a stream");
    if has(&pool, "pyarrow", small.clone().into()).await {
        let call = Prices { prices: Batch(sent.clone()) };
        let Batch(back) = pool.execute("doubled", call).await.expect("a batch");
        assert_eq!(back.num_rows(), ROWS);
        assert_eq!((sum(&back), back.column(1)), (2.0 * sum(&sent), sent.column(1)));

        let table =
            Table { schema: sent.schema(), batches: vec![sent.clone(), sent.slice(5, 100)] };
        let back: Table =
            pool.execute("doubled", Prices { prices: &table }).await.expect("a table");
        assert_eq!(back.batches.iter().map(RecordBatch::num_rows).sum::<usize>(), ROWS + 100);
        let total: f64 = table.batches.iter().map(sum).sum();
        assert_eq!(back.batches.iter().map(sum).sum::<f64>(), 2.0 * total);

        // Read as a value it is the stream, which another worker takes as it is.
        let value: Value =
            pool.execute("doubled", Prices { prices: &table }).await.expect("a table");
        let arrow = value.as_arrow().expect("Arrow data");
        assert_eq!((arrow.kind(), arrow.table().expect("a table")), (ArrowKind::Table, back));
        let again: Table =
            pool.execute("doubled", Prices { prices: arrow }).await.expect("a table");
        assert_eq!(again.batches.iter().map(sum).sum::<f64>(), 4.0 * total);

        let wrong = pool.execute::<Batch>("doubled", Prices { prices: &table }).await;
        assert!(
            matches!(&wrong, Err(Error::Decode { message, .. }) if message.contains("pyarrow.Table"))
        );
        let memory = pool.stats().shared_memory.expect("by default there is some");
        assert_eq!(memory.fallbacks, 0, "{memory:?}");
    }
    finish(pool, mark).await;
}
