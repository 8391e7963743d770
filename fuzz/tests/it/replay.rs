//! Every input of every corpus, as it is and changed.

use super::mutate::mutated;
use landfall_fuzz::{BODIES, Body};
use landfall_testkit::Rng;
use std::{
    collections::BTreeSet,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
};

/// Random numbers for one round each. `LANDFALL_FUZZ_SEED` and `LANDFALL_FUZZ_ROUNDS` search elsewhere and longer than
/// the few seconds that every run takes.
pub(crate) fn rounds(seed: u64) -> impl Iterator<Item = Rng> {
    let setting = |name: &str, usual: u64| std::env::var(name).map_or(usual, |text| text.parse().unwrap());
    let seed = setting("LANDFALL_FUZZ_SEED", 0) ^ seed;
    (0..setting("LANDFALL_FUZZ_ROUNDS", 2000)).map(move |round| Rng::new(seed ^ (round << 16)))
}

fn corpora() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The inputs of one corpus by file name.
fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let dir = corpora().join(name);
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut inputs: Vec<_> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap())
        })
        .collect();
    inputs.sort();
    inputs
}

#[test]
fn every_body_has_a_corpus_with_good_and_bad() {
    let named: BTreeSet<String> = BODIES.iter().map(|(name, _)| (*name).to_owned()).collect();
    let found = fs::read_dir(corpora()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(found.collect::<BTreeSet<_>>(), named);
    for name in named {
        for kind in ["good-", "bad-"] {
            assert!(corpus(&name).iter().any(|(file, _)| file.starts_with(kind)), "{name} lacks a {kind}input");
        }
    }
}

#[test]
fn the_corpora_are_taken_and_refused_as_named() {
    for (name, body) in BODIES {
        for (file, input) in corpus(name) {
            let taken = body(&input);
            assert!(!file.starts_with("good-") || taken, "{name}/{file} is refused");
            assert!(!file.starts_with("bad-") || !taken, "{name}/{file} is taken");
        }
    }
}

#[test]
fn changed_inputs_do_no_harm() {
    for (name, body) in BODIES {
        let inputs = corpus(name);
        for (index, (file, input)) in inputs.iter().enumerate() {
            for mut rng in rounds(index as u64) {
                let shown = format!("{name}/{file}, {rng:?}");
                let other = &inputs[rng.below(inputs.len() as u64) as usize].1;
                try_one(*body, &mutated(&mut rng, input, other), &shown);
            }
        }
    }
}

/// Names the input that does harm, and keeps it, so that it can join the corpus.
fn try_one(body: Body, input: &[u8], what: &str) {
    if catch_unwind(AssertUnwindSafe(|| body(input))).is_err() {
        let path = std::env::temp_dir().join(format!("landfall-find-{}", what.replace(['/', ',', ' '], "-")));
        fs::write(&path, input).unwrap();
        panic!("{what} does harm; the input is in {}", path.display());
    }
}
