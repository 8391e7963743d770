//! Debian Policy s5.6.12: epoch, upstream version, revision.

use super::{compare_digits, span};
use std::cmp::Ordering;

pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let ((a_epoch, a_upstream, a_revision), (b_epoch, b_upstream, b_revision)) = (parts(a)?, parts(b)?);
    let order = compare_digits(a_epoch, b_epoch);
    Some(order.then_with(|| part(a_upstream, b_upstream)).then_with(|| part(a_revision, b_revision)))
}

fn parts(text: &str) -> Option<(&str, &str, &str)> {
    let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b".+-~:".contains(&byte);
    let good = !epoch.is_empty()
        && epoch.bytes().all(|byte| byte.is_ascii_digit())
        && upstream.starts_with(|first: char| first.is_ascii_digit())
        && rest.bytes().all(known);
    good.then_some((epoch, upstream, revision))
}

/// What is not digits, then digits, and again.
fn part(mut a: &str, mut b: &str) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let ((a_word, a_rest), (b_word, b_rest)) = (span(a, |c| !c.is_ascii_digit()), span(b, |c| !c.is_ascii_digit()));
        let ((a_number, a_rest), (b_number, b_rest)) =
            (span(a_rest, |c| c.is_ascii_digit()), span(b_rest, |c| c.is_ascii_digit()));
        match word(a_word, b_word).then_with(|| compare_digits(a_number, b_number)) {
            Ordering::Equal => (a, b) = (a_rest, b_rest),
            other => return other,
        }
    }
    Ordering::Equal
}

/// Letters before everything else, and a tilde before the end.
fn word(a: &str, b: &str) -> Ordering {
    let weight = |byte: Option<&u8>| match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    };
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let orders = (0..a.len().max(b.len())).map(|index| weight(a.get(index)).cmp(&weight(b.get(index))));
    { orders }.find(|order| *order != Ordering::Equal).unwrap_or(Ordering::Equal)
}
