//! Failures as they are told, within bounds: a worker's, which come from another process, and those of
//! host tools, which go there.

use prost::Message;
use snakepit_proto::v1;

use crate::error::Failure;

/// Exceptions inside each other, and of one failure in all. The worker's end keeps to them too.
const DEPTH: u32 = 16;
const NUMBER: u32 = 64;

/// Bounds of the texts in bytes: together less than what a frame may carry beside a value.
const MAX_NAME: usize = 1024;
const MAX_MESSAGE: usize = 14 * 1024;
const MAX_TRACEBACK: usize = 44 * 1024;
/// Of what is inside, for which the traceback makes room. It is told as a whole or not at all.
const MAX_DETAIL: usize = 24 * 1024;

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

/// An exception of a host tool as its worker is told of it: the inverse of [`exception`].
pub(super) fn told(failure: Failure) -> v1::Failure {
    let mut left = NUMBER;
    let mut detail = write(failure, DEPTH, &mut left);
    let take = std::mem::take::<String>;
    let type_name = clip(take(&mut detail.type_name), MAX_NAME);
    let message = clip(take(&mut detail.message), MAX_MESSAGE);
    let traceback = take(&mut detail.traceback);
    if detail.encoded_len() > MAX_DETAIL {
        detail = v1::Failure { kind: detail.kind, ..v1::Failure::default() };
    }
    let traceback = clip(traceback, MAX_TRACEBACK - detail.encoded_len());
    v1::Failure { type_name, message, traceback, ..detail }
}

fn write(failure: Failure, depth: u32, left: &mut u32) -> v1::Failure {
    *left = left.saturating_sub(1);
    let mut inner = |failure| (depth > 1 && *left > 0).then(|| write(failure, depth - 1, left));
    let cause = failure.cause.and_then(|failure| inner(*failure)).map(Box::new);
    let context = failure.context.and_then(|failure| inner(*failure)).map(Box::new);
    let exceptions = failure.exceptions.into_iter().map_while(inner).collect();
    v1::Failure {
        kind: v1::FailureKind::Exception.into(),
        type_name: failure.type_name,
        message: failure.message,
        traceback: failure.traceback,
        notes: failure.notes,
        cause,
        context,
        exceptions,
        ..v1::Failure::default()
    }
}

/// Cuts out the middle: the head says what it is, the tail where it ended.
fn clip(text: String, max: usize) -> String {
    const MARK: &str = "\n[…]\n";
    if text.len() <= max {
        return text;
    }
    let half = (max - MARK.len()) / 2;
    let whole = |at: &usize| text.is_char_boundary(*at);
    let head = (0..=half).rev().find(whole).unwrap_or(0);
    let tail = (text.len() - half..text.len()).find(whole).unwrap_or(text.len());
    [&text[..head], MARK, &text[tail..]].concat()
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

    fn size(failure: &v1::Failure) -> u32 {
        let chained = failure.cause.iter().chain(&failure.context).map(|inner| &**inner);
        1 + chained.chain(&failure.exceptions).map(size).sum::<u32>()
    }

    proptest! {
        #[test]
        fn what_is_kept_is_bounded_and_all_where_it_fits(failure in any_failure()) {
            let number = size(&failure);
            let kept = exception(failure);
            prop_assert!(count(&kept) <= NUMBER && depth(&kept) <= DEPTH);
            prop_assert!(count(&kept) == number || number > NUMBER || depth(&kept) == DEPTH);
        }

        /// What a host tells is what a worker's host would read, whatever it is made of.
        #[test]
        fn what_is_told_is_bounded_and_all_where_it_fits(
            failure in any_failure(),
            texts in (0..30_000usize, 0..30_000usize, 0..90_000usize),
        ) {
            let text = |length: usize| "é".repeat(length);
            let failure = Failure {
                type_name: text(texts.0),
                message: text(texts.1),
                traceback: text(texts.2),
                ..exception(failure)
            };
            let sent = told(failure.clone());
            prop_assert!(sent.encoded_len() < 64 * 1024);
            let read = exception(sent);
            prop_assert!(read.message.starts_with(&text(texts.1.min(100))));
            prop_assert!(read.traceback.ends_with(&text(texts.2.min(100))));
            prop_assert_eq!(inside(&read).count(), inside(&failure).count());
        }
    }

    #[test]
    fn what_is_inside_is_told_as_a_whole_or_not_at_all() {
        let with = |note: usize| Failure {
            traceback: "t".repeat(MAX_TRACEBACK),
            notes: vec!["n".repeat(note)],
            cause: Some(Box::new(Failure { type_name: "Cause".into(), ..Failure::default() })),
            ..Failure::default()
        };
        let sent = told(with(20_000));
        assert_eq!((sent.notes.len(), sent.cause.is_some()), (1, true));
        assert!(sent.traceback.len() < MAX_TRACEBACK - 20_000);
        let sent = told(with(30_000));
        assert_eq!((sent.notes.len(), sent.cause.is_some()), (0, false));
        assert!(sent.traceback.len() > MAX_TRACEBACK - 10);
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
