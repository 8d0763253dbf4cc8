//! Failures as a worker tells them, within bounds: what is inside comes from another process.

use snakepit_proto::v1;

use crate::error::Failure;

/// Exceptions inside each other, and of one failure in all. The worker's end keeps to them too.
const DEPTH: u32 = 16;
const NUMBER: u32 = 64;

/// The exception that a worker tells of.
pub(super) fn exception(told: v1::Failure) -> Failure {
    let mut left = NUMBER;
    read(told, DEPTH, &mut left)
}

fn read(told: v1::Failure, depth: u32, left: &mut u32) -> Failure {
    *left = left.saturating_sub(1);
    let mut inner =
        |told: v1::Failure| (depth > 1 && *left > 0).then(|| read(told, depth - 1, left));
    let cause = told.cause.and_then(|told| inner(*told)).map(Box::new);
    let context = told.context.and_then(|told| inner(*told)).map(Box::new);
    let exceptions = told.exceptions.into_iter().map_while(inner).collect();
    Failure {
        type_name: told.type_name,
        message: told.message,
        traceback: told.traceback,
        notes: told.notes,
        cause,
        context,
        exceptions,
        class: Some(told.class).filter(|class| !class.is_empty()),
        encoded_arguments: told.arguments,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_failure() -> impl Strategy<Value = v1::Failure> {
        let leaf = Just(v1::Failure { type_name: "E".into(), ..Default::default() });
        leaf.prop_recursive(40, 400, 20, |inner| {
            let chained = prop::option::of(inner.clone());
            (chained.clone(), chained, prop::collection::vec(inner, 0..20)).prop_map(
                |(cause, context, exceptions)| v1::Failure {
                    cause: cause.map(Box::new),
                    context: context.map(Box::new),
                    exceptions,
                    ..Default::default()
                },
            )
        })
    }

    fn inside(failure: &Failure) -> impl Iterator<Item = &Failure> {
        let chained = failure.cause.iter().chain(&failure.context).map(|inner| &**inner);
        chained.chain(&failure.exceptions)
    }

    fn count(failure: &Failure) -> u32 {
        1 + inside(failure).map(count).sum::<u32>()
    }

    fn depth(failure: &Failure) -> u32 {
        1 + inside(failure).map(depth).max().unwrap_or(0)
    }

    fn told(failure: &v1::Failure) -> u32 {
        let chained = failure.cause.iter().chain(&failure.context).map(|inner| &**inner);
        1 + chained.chain(&failure.exceptions).map(told).sum::<u32>()
    }

    proptest! {
        #[test]
        fn what_is_kept_is_bounded_and_all_where_it_fits(failure in any_failure()) {
            let number = told(&failure);
            let kept = exception(failure);
            prop_assert!(count(&kept) <= NUMBER && depth(&kept) <= DEPTH);
            prop_assert!(count(&kept) == number || number > NUMBER || depth(&kept) == DEPTH);
        }
    }

    #[test]
    fn everything_is_read() {
        let inner = || v1::Failure { type_name: "Inner".into(), ..Default::default() };
        let kept = exception(v1::Failure {
            type_name: "app.Quota".into(),
            message: "no".into(),
            traceback: "Traceback".into(),
            cause: Some(inner().into()),
            context: Some(inner().into()),
            notes: vec!["a note".into()],
            exceptions: vec![inner(), inner()],
            arguments: vec![0x90].into(),
            class: "app:Quota".into(),
            ..Default::default()
        });
        assert_eq!(
            (&*kept.type_name, &*kept.message, &*kept.traceback),
            ("app.Quota", "no", "Traceback")
        );
        assert_eq!(kept.cause.unwrap().type_name, "Inner");
        assert_eq!(kept.context.unwrap().type_name, "Inner");
        assert_eq!((kept.notes, kept.exceptions.len()), (vec!["a note".to_owned()], 2));
        assert_eq!(
            (kept.class.as_deref(), &kept.encoded_arguments[..]),
            (Some("app:Quota"), &[0x90][..])
        );
    }
}
