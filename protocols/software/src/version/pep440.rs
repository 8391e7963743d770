//! PEP 440: epoch, release, what comes before it, after it, and in between.

use super::{compare_digits, span};
use std::cmp::Ordering;

pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    Some(Version::read(&a.to_ascii_lowercase())?.compare(&Version::read(&b.to_ascii_lowercase())?))
}

struct Version<'a> {
    epoch: &'a str,
    release: Vec<&'a str>,
    /// `a`, `b` or `rc`, and its number.
    pre: Option<(u8, &'a str)>,
    post: Option<&'a str>,
    dev: Option<&'a str>,
    local: Option<Vec<&'a str>>,
}

/// PEP 440's spellings, in the order in which they may stand.
const PRE: [(&str, u8); 8] =
    [("alpha", 0), ("a", 0), ("beta", 1), ("b", 1), ("preview", 2), ("pre", 2), ("rc", 2), ("c", 2)];

impl<'a> Version<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix('v').unwrap_or(text);
        let (text, local) = match text.split_once('+') {
            Some((text, local)) => (text, Some(local.split(['.', '-', '_']).collect::<Vec<_>>())),
            None => (text, None),
        };
        let (epoch, text) = match text.split_once('!') {
            Some((epoch, text)) => (epoch, text),
            None => ("0", text),
        };
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (first, mut rest) = span(text, |c| c.is_ascii_digit());
        let mut release = vec![first];
        while let Some((number, after)) = rest.strip_prefix('.').map(|rest| span(rest, |c| c.is_ascii_digit())) {
            if number.is_empty() || release.len() > 64 {
                break;
            }
            release.push(number);
            rest = after;
        }
        let pre = PRE.iter().find_map(|(word, rank)| Some((*rank, segment(rest, word)?)));
        let pre = pre.map(|(rank, (number, after))| {
            rest = after;
            (rank, number)
        });
        // A hyphen and a number are a post-release too.
        let implicit = rest.strip_prefix('-').map(|rest| span(rest, |c| c.is_ascii_digit()));
        let implicit = implicit.filter(|(number, _)| !number.is_empty());
        let post = implicit.or_else(|| ["post", "rev", "r"].iter().find_map(|word| segment(rest, word)));
        let post = post.map(|(number, after)| {
            rest = after;
            number
        });
        let dev = segment(rest, "dev").map(|(number, after)| {
            rest = after;
            number
        });
        let local_good = |parts: &Vec<&str>| {
            parts.iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        };
        let good = digits(epoch) && digits(first) && rest.is_empty() && local.as_ref().is_none_or(local_good);
        good.then_some(Self { epoch, release, pre, post, dev, local })
    }

    fn compare(&self, other: &Self) -> Ordering {
        compare_digits(self.epoch, other.epoch)
            .then_with(|| release(&self.release, &other.release))
            .then_with(|| self.stage().cmp(&other.stage()))
            .then_with(|| numbers(self.pre.map(|(_, number)| number), other.pre.map(|(_, number)| number)))
            .then_with(|| numbers(self.post, other.post))
            // A development release comes before what it develops.
            .then_with(|| other.dev.is_some().cmp(&self.dev.is_some()))
            .then_with(|| numbers(self.dev, other.dev))
            .then_with(|| local(self.local.as_deref(), other.local.as_deref()))
    }

    /// A development release of a final one comes before all of its pre-releases.
    const fn stage(&self) -> u8 {
        match (self.pre, self.post, self.dev) {
            (None, None, Some(_)) => 0,
            (Some((rank, _)), _, _) => 1 + rank,
            (None, _, _) => 4,
        }
    }
}

/// A word and its number, with a separator before each or none; without a number it is the one with zero.
fn segment<'a>(text: &'a str, word: &str) -> Option<(&'a str, &'a str)> {
    let separated = |text: &'a str| text.strip_prefix(['.', '-', '_']).unwrap_or(text);
    let after = separated(text).strip_prefix(word)?;
    let (number, rest) = span(separated(after), |c| c.is_ascii_digit());
    match number {
        "" if after.starts_with(|c: char| c.is_ascii_alphabetic()) => None,
        "" => Some(("0", after)),
        number => Some((number, rest)),
    }
}

/// None comes before any.
fn numbers(a: Option<&str>, b: Option<&str>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => compare_digits(a, b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

fn release(a: &[&str], b: &[&str]) -> Ordering {
    let part = |parts: &[&str], index: usize| parts.get(index).copied().unwrap_or("0").to_owned();
    let orders = (0..a.len().max(b.len())).map(|index| compare_digits(&part(a, index), &part(b, index)));
    { orders }.find(|order| *order != Ordering::Equal).unwrap_or(Ordering::Equal)
}

/// Numbers after words, and more after less.
fn local(a: Option<&[&str]>, b: Option<&[&str]>) -> Ordering {
    let (Some(a), Some(b)) = (a, b) else { return a.is_some().cmp(&b.is_some()) };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let orders = a.iter().zip(b).map(|(a, b)| match (digits(a), digits(b)) {
        (true, true) => compare_digits(a, b),
        (false, false) => a.cmp(b),
        (a, b) => a.cmp(&b),
    });
    { orders }.find(|order| *order != Ordering::Equal).unwrap_or_else(|| a.len().cmp(&b.len()))
}
