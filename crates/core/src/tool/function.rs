//! Closures and futures of Rust as host tools: arguments in, an answer out, by serde.

use std::fmt::Display;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{HostCall, HostTool};
use crate::call::HostContext;
use crate::error::Failure;
use crate::payload::Payload;
use crate::value;

/// A closure that runs on a thread that may block.
pub(crate) struct Blocking<F, A>(Arc<F>, PhantomData<fn(A)>);

/// A closure that returns a future, which runs as a task.
pub(crate) struct Asynchronous<F, A>(Arc<F>, PhantomData<fn(A)>);

/// A closure that returns an iterator, which runs on a thread that may block.
pub(crate) struct Streaming<F, A>(Arc<F>, PhantomData<fn(A)>);

macro_rules! wrap {
    ($($wrapper:ident),*) => { $(
        impl<F, A> $wrapper<F, A> {
            pub(crate) fn new(function: F) -> Self {
                Self(Arc::new(function), PhantomData)
            }
        }
    )* };
}

wrap!(Blocking, Asynchronous, Streaming);

impl<F, A, R, E> HostTool for Blocking<F, A>
where
    F: Fn(A) -> Result<R, E> + Send + Sync + 'static,
    A: DeserializeOwned + 'static,
    R: Serialize,
    E: Display,
{
    fn call(&self, mut call: HostCall) {
        let function = self.0.clone();
        tokio::task::spawn_blocking(move || {
            let context = call.context().clone();
            let Some(arguments) = arguments(&mut call) else { return };
            match answer(&call, context.enter(|| function(arguments))) {
                Ok(value) => call.succeed(value),
                Err(failure) => call.fail(*failure),
            };
        });
    }
}

impl<F, A, R, E, Fut> HostTool for Asynchronous<F, A>
where
    F: Fn(A) -> Fut + Send + Sync + 'static,
    A: DeserializeOwned + 'static,
    Fut: Future<Output = Result<R, E>> + Send + 'static,
    R: Serialize,
    E: Display,
{
    fn call(&self, mut call: HostCall) {
        let context = call.context().clone();
        let Some(arguments) = arguments(&mut call) else { return };
        let made = context.enter(|| (self.0)(arguments));
        let inside = Inside { context: context.clone(), future: Box::pin(made) };
        let task = tokio::spawn(async move {
            match answer(&call, inside.await) {
                Ok(value) => call.succeed_async(value).await,
                Err(failure) => call.fail(*failure),
            }
        });
        let task = task.abort_handle();
        context.on_cancel(move || task.abort());
    }
}

impl<F, A, R, E, I> HostTool for Streaming<F, A>
where
    F: Fn(A) -> I + Send + Sync + 'static,
    A: DeserializeOwned + 'static,
    I: Iterator<Item = Result<R, E>>,
    R: Serialize,
    E: Display,
{
    fn call(&self, mut call: HostCall) {
        let function = self.0.clone();
        tokio::task::spawn_blocking(move || {
            let context = call.context().clone();
            let Some(arguments) = arguments(&mut call) else { return };
            context.enter(|| {
                for item in function(arguments) {
                    match answer(&call, item) {
                        Ok(item) if call.send(&item) => {}
                        Ok(_) => return,
                        Err(failure) => {
                            call.fail(*failure);
                            return;
                        }
                    }
                }
                call.end();
            });
        });
    }
}

/// A future that runs in a context, wherever it is polled.
struct Inside<F> {
    context: HostContext,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Inside<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Self { context, future } = &mut *self;
        context.enter(|| future.as_mut().poll(cx))
    }
}

/// The arguments as the closure wants them. None: they are something else, which is answered.
fn arguments<A: DeserializeOwned>(call: &mut HostCall) -> Option<A> {
    // Taken: what the closure does not keep of it goes back while it runs.
    match value::decode_payload(&call.take_arguments()) {
        Ok(arguments) => Some(arguments),
        Err(error) => {
            let message = format!("{}: {}", error.path("args"), error.message());
            call.fail(Failure { type_name: "TypeError".into(), message, ..Failure::default() });
            None
        }
    }
}

/// What a closure made, as it travels.
fn answer<R: Serialize, E: Display>(
    call: &HostCall,
    result: Result<R, E>,
) -> Result<Payload, Box<Failure>> {
    let value = result.map_err(|error| raised(&error))?;
    encoded(call, &value)
}

fn raised<E: Display>(error: &E) -> Box<Failure> {
    let name = std::any::type_name::<E>();
    let type_name = if name.ends_with("String") || name == "&str" { "RuntimeError" } else { name };
    let (type_name, message) = (type_name.to_owned(), error.to_string());
    Failure { type_name, message, ..Failure::default() }.into()
}

fn encoded<R: Serialize>(call: &HostCall, value: &R) -> Result<Payload, Box<Failure>> {
    let encoded = match call.arena() {
        Some(arena) => arena.beside(|outside| value::encode_beside(value, outside)),
        None => value::encode(value).map(Payload::from),
    };
    encoded.map_err(|error| {
        Failure {
            type_name: "snakepit.errors.EncodeError".into(),
            message: format!("{}: {}", error.path("result"), error.message()),
            ..Failure::default()
        }
        .into()
    })
}
