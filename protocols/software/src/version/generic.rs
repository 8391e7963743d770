//! Numbers and words from left to right, for all who have no rules of their own or those of RPM.

use super::{compare_digits, span};
use std::cmp::Ordering;

pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let ((a_epoch, a), (b_epoch, b)) = (epoch(a), epoch(b));
    let started = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
    (started(a) && started(b)).then(|| compare_digits(a_epoch, b_epoch).then_with(|| parts(a, b)))
}

fn epoch(text: &str) -> (&str, &str) {
    let text = text.strip_prefix(['v', 'V', 'r']).unwrap_or(text);
    match text.split_once(':') {
        Some((epoch, rest)) if !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_digit()) => (epoch, rest),
        _ => ("0", text),
    }
}

fn parts<'a>(mut a: &'a str, mut b: &'a str) -> Ordering {
    loop {
        let mark = |c: char| !c.is_ascii_alphanumeric() && c != '~';
        (a, b) = (span(a, mark).1, span(b, mark).1);
        let (rest_of_a, rest_of_b, order) = match (kind(a), kind(b)) {
            (Kind::End, Kind::End) => return Ordering::Equal,
            (Kind::Number, Kind::Number) => step(a, b, |c| c.is_ascii_digit(), compare_digits),
            (Kind::Word, Kind::Word) => step(a, b, |c| c.is_ascii_alphabetic(), words),
            (Kind::Tilde, Kind::Tilde) => step(a, b, |c| c == '~', |_, _| Ordering::Equal),
            // A tilde, and a word for what comes before a release, are earlier than the end; all else is later.
            (a_kind, b_kind) => return weight(a, a_kind).cmp(&weight(b, b_kind)),
        };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_of_a, rest_of_b);
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Tilde,
    End,
    Word,
    Number,
}

fn kind(text: &str) -> Kind {
    match text.chars().next() {
        None => Kind::End,
        Some('~') => Kind::Tilde,
        Some(letter) if letter.is_ascii_digit() => Kind::Number,
        Some(_) => Kind::Word,
    }
}

fn weight(text: &str, kind: Kind) -> u8 {
    match kind {
        Kind::Tilde => 0,
        Kind::Word if is_early(span(text, |c| c.is_ascii_alphabetic()).0) => 1,
        Kind::End => 2,
        Kind::Word => 3,
        Kind::Number => 4,
    }
}

fn step<'a>(
    a: &'a str,
    b: &'a str,
    holds: impl Fn(char) -> bool,
    compare: impl Fn(&str, &str) -> Ordering,
) -> (&'a str, &'a str, Ordering) {
    let ((a, a_rest), (b, b_rest)) = (span(a, &holds), span(b, &holds));
    (a_rest, b_rest, compare(a, b))
}

fn words(a: &str, b: &str) -> Ordering {
    is_early(b).cmp(&is_early(a)).then_with(|| a.to_ascii_lowercase().cmp(&b.to_ascii_lowercase()))
}

/// Whether a word says that the release is still to come.
fn is_early(word: &str) -> bool {
    ["alpha", "beta", "rc", "pre", "preview", "dev", "snapshot", "milestone", "cr"]
        .iter()
        .any(|early| word.eq_ignore_ascii_case(early))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_words_and_what_comes_before() {
        let ascending = [
            "0.9",
            "1.0~rc1",
            "1.0-alpha",
            "1.0-rc1",
            "1.0-rc2",
            "1.0",
            "1.0a",
            "1.0.1",
            "1.0.2k",
            "1.0.2l",
            "1.0.10",
            "1:0.1",
        ];
        for (index, a) in ascending.iter().enumerate() {
            for (other, b) in ascending.iter().enumerate() {
                assert_eq!(compare(a, b), Some(index.cmp(&other)), "{a} {b}");
            }
        }
        assert_eq!(compare("1.0", "1.0."), Some(Ordering::Equal));
        assert_eq!(compare("v2", "1"), Some(Ordering::Greater));
        for wrong in ["", "latest", "-", ".1", "~1"] {
            assert_eq!(compare(wrong, "1.0"), None, "{wrong}");
        }
    }
}
