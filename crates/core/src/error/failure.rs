//! What a worker said about a failure: data, never code.

use std::fmt;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::diagnosis::Diagnosis;
use crate::value::{self, CodecError};

/// An exception of the adapter's code, and what it is made of.
///
/// One that is inside another (`cause`, `context`, `exceptions`) has its own frames alone in its
/// `traceback`: the outermost one has the whole text, as Python prints it. At most 64 of them, 16
/// inside each other, are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// `ValueError`, or `package.module.Name` outside the built-ins.
    pub type_name: String,
    /// The exception's text.
    pub message: String,
    /// As Python prints it; empty where there is none.
    pub traceback: String,
    /// What was added by `add_note`.
    pub notes: Vec<String>,
    /// `raise … from cause`.
    pub cause: Option<Box<Failure>>,
    /// What was handled when it was raised, unless it has a cause or hides that.
    pub context: Option<Box<Failure>>,
    /// Of an exception group; empty for any other.
    pub exceptions: Vec<Failure>,
    /// Which of the pool's `errors` it is, or derives from.
    pub class: Option<String>,
    /// Its arguments, encoded, where it has a `class` and they can travel; see
    /// [`Failure::arguments`].
    pub encoded_arguments: Bytes,
}

impl Failure {
    /// What the message says about shapes, devices or memory; None: it is of no kind that is known.
    pub fn diagnosis(&self) -> Option<Diagnosis> {
        Diagnosis::of(&self.type_name, &self.message)
    }

    /// The arguments of an exception of one of the pool's `errors`: a `Vec<Value>`, or a tuple.
    ///
    /// None: it is of no such class, or they could not travel.
    ///
    /// # Errors
    /// They are not what `T` can be.
    pub fn arguments<T: DeserializeOwned>(&self) -> Option<Result<T, CodecError>> {
        (!self.encoded_arguments.is_empty()).then(|| value::decode(&self.encoded_arguments))
    }

    /// Forgets a class that is not among `classes`, here and inside: a worker names what it was
    /// told to.
    pub(crate) fn keep_classes(&mut self, classes: &[String]) {
        if !self.class.as_ref().is_some_and(|class| classes.contains(class)) {
            (self.class, self.encoded_arguments) = (None, Bytes::new());
        }
        let chained = self.cause.iter_mut().chain(&mut self.context).map(|inner| &mut **inner);
        chained.chain(&mut self.exceptions).for_each(|inner| inner.keep_classes(classes));
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.type_name, self.message)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let chained = self.cause.as_deref().or(self.context.as_deref());
        chained.map(|failure| failure as _)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;
    use crate::Value;

    fn named(type_name: &str) -> Failure {
        let class = Some("app:Quota".into());
        let encoded_arguments = value::encode(&("disk", 5)).expect("plain values");
        Failure {
            type_name: type_name.into(),
            message: "no".into(),
            class,
            encoded_arguments,
            ..Failure::default()
        }
    }

    #[test]
    fn arguments_are_read_as_any_type() {
        let failure = named("app.Quota");
        assert_eq!(failure.arguments::<(String, u8)>().unwrap().unwrap(), ("disk".into(), 5));
        assert_eq!(failure.arguments::<Vec<Value>>().unwrap().unwrap().len(), 2);
        assert!(failure.arguments::<bool>().unwrap().is_err());
        assert!(Failure::default().arguments::<Value>().is_none());
    }

    #[test]
    fn only_classes_that_the_pool_lists_are_kept() {
        let inner = || Some(Box::new(named("inner")));
        let mut failure = Failure {
            cause: inner(),
            context: inner(),
            exceptions: vec![named("member")],
            ..named("outer")
        };
        let listed = failure.clone();
        failure.keep_classes(&["app:Other".into(), "app:Quota".into()]);
        assert_eq!(failure, listed);

        failure.keep_classes(&["app:Other".into()]);
        let kept = [&failure, &failure.exceptions[0], failure.cause.as_ref().unwrap()];
        for failure in kept.into_iter().chain(failure.context.as_deref()) {
            assert_eq!((failure.class.as_deref(), failure.encoded_arguments.len()), (None, 0));
        }
    }

    #[test]
    fn the_chain_is_that_of_the_causes() {
        let failure = Failure { cause: Some(named("inner").into()), ..named("outer") };
        assert_eq!(failure.source().unwrap().to_string(), "inner: no");
        let failure = Failure { context: Some(named("handled").into()), ..named("outer") };
        assert_eq!(failure.source().unwrap().to_string(), "handled: no");
        assert!(named("outer").source().is_none());
    }
}
