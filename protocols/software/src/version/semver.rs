//! Semantic versioning 2.0.0.

use super::compare_digits;
use std::cmp::Ordering;

pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let ((a, a_early), (b, b_early)) = (parts(a)?, parts(b)?);
    for index in 0..a.len().max(b.len()) {
        // What is not said is zero.
        let (a, b) = (a.get(index).copied().unwrap_or("0"), b.get(index).copied().unwrap_or("0"));
        match compare_digits(a, b) {
            Ordering::Equal => {}
            other => return Some(other),
        }
    }
    Some(match (a_early, b_early) {
        (None, None) => Ordering::Equal,
        // s11.3: what comes before a release is earlier than it.
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => early(a, b),
    })
}

/// The numbers, and what stands after a hyphen; what stands after a plus is of no account (s10).
fn parts(text: &str) -> Option<(Vec<&str>, Option<&str>)> {
    let text = text.strip_prefix(['v', 'V', '=']).unwrap_or(text);
    let text = text.split_once('+').map_or(text, |(text, _build)| text);
    let (numbers, early) = match text.split_once('-') {
        Some((numbers, early)) => (numbers, Some(early)),
        None => (text, None),
    };
    let numbers: Vec<&str> = numbers.split('.').collect();
    let digits = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    (numbers.len() <= 8 && numbers.iter().all(digits)).then_some((numbers, early))
}

/// s11.4.
fn early(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let (a, b) = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => (a, b),
        };
        let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let order = match (number(a), number(b)) {
            (true, true) => compare_digits(a, b),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => a.cmp(b),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_specification() {
        // s11.2 and s11.4.4.
        let ascending = [
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "2.0.0",
            "2.1.0",
            "2.1.1",
            "2.1.10",
        ];
        for (index, a) in ascending.iter().enumerate() {
            for (other, b) in ascending.iter().enumerate() {
                assert_eq!(compare(a, b), Some(index.cmp(&other)), "{a} {b}");
            }
        }
        assert_eq!(compare("v1.2", "1.2.0+build"), Some(Ordering::Equal));
        assert_eq!(compare("99999999999999999999999.0.0", "1.0.0"), Some(Ordering::Greater));
        for wrong in ["", "x", "1..2", "1.x", "one.two", "-1"] {
            assert_eq!(compare(wrong, "1.0.0"), None, "{wrong}");
        }
    }
}
