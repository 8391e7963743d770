//! Any sequence of commits leaves every backend as a simple map would be.

use crate::thing::{Thing, on_every_backend, thing};
use landfall_store::Store;
use landfall_types::{Changes, record::Version};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Step {
    Insert(usize, Vec<usize>, u64),
    Put(usize, Vec<usize>, u64),
    /// Put if the version is the current one, or an older one.
    PutIf(usize, u64, bool),
    Delete(usize),
    Append(u64),
}

const KEYS: [&str; 4] = ["a", "b", "c", "aa"];
const COLOURS: [&str; 3] = ["red", "blue", ""];

#[derive(Clone, Default)]
struct Model {
    things: BTreeMap<String, (Thing, Option<Version>)>,
    log: Vec<u64>,
}

fn made(key: usize, colours: &[usize], number: u64) -> Thing {
    thing(KEYS[key], &colours.iter().map(|colour| COLOURS[*colour]).collect::<Vec<_>>(), number)
}

/// The changes for `steps`, and what the model says of them: the new model, or none if they conflict.
fn plan(model: &Model, steps: &[Step]) -> (Changes, Option<Model>) {
    let (mut next, mut changes, mut conflict) = (model.clone(), Changes::new(), false);
    for step in steps {
        match step {
            Step::Insert(key, colours, number) => {
                let new = made(*key, colours, *number);
                changes = changes.insert(&new).unwrap();
                conflict |= next.things.insert(new.id.clone(), (new, None)).is_some();
            }
            Step::Put(key, colours, number) => {
                let new = made(*key, colours, *number);
                changes = changes.put(&new).unwrap();
                next.things.insert(new.id.clone(), (new, None));
            }
            Step::PutIf(key, number, current) => {
                let new = made(*key, &[], *number);
                // A record written in this very commit has no version that could be known.
                let known = next.things.get(KEYS[*key]).and_then(|(_, version)| *version).filter(|_| *current);
                changes = changes.put_if(&new, known.unwrap_or(Version(0))).unwrap();
                conflict |= known.is_none();
                next.things.insert(new.id.clone(), (new, None));
            }
            Step::Delete(key) => {
                changes = changes.delete::<Thing>(KEYS[*key]);
                next.things.remove(KEYS[*key]);
            }
            Step::Append(number) => {
                changes = changes.append("diary", number).unwrap();
                next.log.push(*number);
            }
        }
    }
    (changes, (!conflict).then_some(next))
}

async fn run(store: &Store, commits: &[Vec<Step>]) {
    let mut model = Model::default();
    for steps in commits {
        let (changes, next) = plan(&model, steps);
        let result = store.commit(changes).await;
        assert_eq!(result.is_ok(), next.is_some(), "{steps:?}: {result:?}");
        model = next.unwrap_or(model);
        compare(store, &mut model);
    }
}

fn compare(store: &Store, model: &mut Model) {
    let stored = store.scan::<Thing>(None, 100).unwrap();
    assert_eq!(stored.len(), model.things.len());
    for (stored, (expected, version)) in stored.iter().zip(model.things.values_mut()) {
        assert_eq!(&stored.record, expected);
        *version = Some(stored.version);
    }
    for colour in COLOURS {
        let expected: Vec<_> =
            model.things.values().map(|(t, _)| t).filter(|t| t.colours.iter().any(|c| c == colour)).collect();
        let stored = store.find_by::<Thing>("colour", colour, 100).unwrap();
        assert_eq!(stored.iter().map(|stored| &stored.record).collect::<Vec<_>>(), expected);
        assert_eq!(store.count_by::<Thing>("colour", colour).unwrap(), expected.len() as u64);
    }
    let mut by_number: Vec<_> = model.things.values().map(|(t, _)| (t.number, &t.id)).collect();
    by_number.sort();
    let stored = store.scan_index::<Thing>("number", None, 100).unwrap();
    assert_eq!(stored.iter().map(|(_, t)| (t.number, &t.id)).collect::<Vec<_>>(), by_number);
    let log = store.log("diary", 0, 1000).unwrap();
    assert_eq!(log.iter().map(|entry| entry.entry.as_u64().unwrap()).collect::<Vec<_>>(), model.log);
    assert_eq!(store.verify_log("diary").unwrap().seq, model.log.len() as u64);
}

fn step() -> impl Strategy<Value = Step> {
    let (key, colours) = (0..KEYS.len(), prop::collection::vec(0..COLOURS.len(), 0..3));
    prop_oneof![
        (key.clone(), colours.clone(), 0..9u64).prop_map(|(key, colours, n)| Step::Insert(key, colours, n)),
        (key.clone(), colours, 0..9u64).prop_map(|(key, colours, n)| Step::Put(key, colours, n)),
        (key.clone(), 0..9u64, prop::bool::weighted(0.8)).prop_map(|(key, n, current)| Step::PutIf(key, n, current)),
        key.prop_map(Step::Delete),
        (0..9u64).prop_map(Step::Append),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_backend_is_like_the_model(commits in prop::collection::vec(prop::collection::vec(step(), 1..4), 0..24)) {
        on_every_backend(async |store| run(&store, &commits).await);
    }
}
