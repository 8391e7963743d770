//! The contract of every backend.

use crate::thing::{Other, Thing, on_every_backend, thing};
use landfall_store::{CommitError, Found, Head, LogBroken, ReadError, Store};
use landfall_types::{Changes, record::Version};
use serde_json::json;

async fn put(store: &Store, things: &[Thing]) {
    for thing in things {
        store.commit(Changes::new().put(thing).unwrap()).await.unwrap();
    }
}

fn ids<R: std::ops::Deref<Target = Thing>>(found: &[R]) -> Vec<&str> {
    found.iter().map(|found| found.id.as_str()).collect()
}

fn conflict(found: Found) -> CommitError {
    CommitError::Conflict { collection: "thing".into(), key: "a".into(), found }
}

#[test]
fn what_was_written_is_found() {
    on_every_backend(async |store| {
        assert_eq!(store.find::<Thing>("a").unwrap(), None);
        let a = thing("a", &["red"], 1);
        let committed = store.commit(Changes::new().insert(&a).unwrap()).await.unwrap();
        let found = store.find::<Thing>("a").unwrap().unwrap();
        assert_eq!((&found.record, vec![found.version]), (&a, committed.versions));
        assert_eq!(store.find::<Other>("a").unwrap(), None);
    });
}

#[test]
fn a_mark_is_another_once_a_record_of_its_collections_was_written_or_removed() {
    on_every_backend(async |store| {
        let mark = |collections: &[&'static str]| store.mark(collections);
        let Some(first) = mark(&["thing"]) else { return };
        let others = mark(&["other"]);
        let committed = store.commit(Changes::new().insert(&thing("a", &[], 1)).unwrap()).await;
        let second = mark(&["thing"]).unwrap();
        assert!(committed.is_ok() && second != first);
        store.commit(Changes::new().append("log", &json!({})).unwrap()).await.unwrap();
        assert_eq!((mark(&["thing"]), mark(&["other"])), (Some(second), others));
        store.commit(Changes::new().delete::<Thing>("a")).await.unwrap();
        let third = mark(&["thing"]).unwrap();
        assert!(third != second && third != first);
        assert_ne!(mark(&["other", "thing"]), others);
        assert_eq!(mark(&["other"]), others);
    });
}

#[test]
fn an_insert_fails_if_the_key_is_taken() {
    on_every_backend(async |store| {
        put(&store, &[thing("a", &["red"], 1)]).await;
        let again = Changes::new().insert(&thing("a", &["blue"], 2)).unwrap();
        assert_eq!(store.commit(again).await, Err(conflict(Found::Exists)));
        assert_eq!(store.find::<Thing>("a").unwrap().unwrap().number, 1);
    });
}

#[test]
fn a_record_that_changed_since_it_was_read_is_not_overwritten() {
    on_every_backend(async |store| {
        put(&store, &[thing("a", &[], 1)]).await;
        let read = store.find::<Thing>("a").unwrap().unwrap();
        store.commit(Changes::new().put_if(&thing("a", &[], 2), read.version).unwrap()).await.unwrap();
        let late = Changes::new().put_if(&thing("a", &[], 3), read.version).unwrap();
        assert_eq!(store.commit(late).await, Err(conflict(Found::Changed)));
        assert_eq!(store.find::<Thing>("a").unwrap().unwrap().number, 2);
        let nothing = Changes::new().put_if(&thing("a", &[], 3), Version(1)).unwrap();
        store.commit(Changes::new().delete::<Thing>("a")).await.unwrap();
        assert_eq!(store.commit(nothing).await, Err(conflict(Found::Missing)));
    });
}

#[test]
fn a_record_that_was_removed_and_made_again_counts_as_changed() {
    on_every_backend(async |store| {
        put(&store, &[thing("a", &[], 1)]).await;
        let read = store.find::<Thing>("a").unwrap().unwrap();
        store.commit(Changes::new().delete::<Thing>("a")).await.unwrap();
        put(&store, &[thing("a", &[], 2)]).await;
        let late = Changes::new().put_if(&thing("a", &[], 3), read.version).unwrap();
        assert_eq!(store.commit(late).await, Err(conflict(Found::Changed)));
    });
}

#[test]
fn changes_take_effect_together_or_not_at_all() {
    on_every_backend(async |store| {
        put(&store, &[thing("a", &["red"], 1), thing("b", &["red"], 2)]).await;
        let changes = Changes::new()
            .put(&thing("b", &["blue"], 20))
            .unwrap()
            .delete::<Thing>("b")
            .insert(&thing("c", &["red"], 3))
            .unwrap()
            .append("diary", &"never")
            .unwrap()
            .insert(&thing("a", &["blue"], 10))
            .unwrap();
        assert_eq!(store.commit(changes).await, Err(conflict(Found::Exists)));
        assert_eq!(ids(&store.find_by::<Thing>("colour", "red", 9).unwrap()), ["a", "b"]);
        assert_eq!(store.count_by::<Thing>("colour", "blue").unwrap(), 0);
        assert_eq!(store.count::<Thing>().unwrap(), 2);
        assert_eq!(store.log_head("diary").unwrap().seq, 0);
    });
}

#[test]
fn changes_see_those_before_them() {
    on_every_backend(async |store| {
        let a = thing("a", &[], 1);
        let twice = Changes::new().insert(&a).unwrap().delete::<Thing>("a").insert(&a).unwrap();
        store.commit(twice).await.unwrap();
        let taken = Changes::new().delete::<Thing>("a").insert(&a).unwrap().insert(&a).unwrap();
        assert_eq!(store.commit(taken).await, Err(conflict(Found::Exists)));
        assert_eq!(store.count::<Thing>().unwrap(), 1);
    });
}

#[test]
fn no_changes_are_no_commit() {
    on_every_backend(async |store| {
        assert_eq!(store.commit(Changes::new()).await.unwrap().versions, []);
    });
}

#[test]
fn indexes_follow_the_records() {
    on_every_backend(async |store| {
        put(&store, &[thing("b", &["red", "blue"], 2), thing("a", &["red"], 1), thing("c", &["redder"], 3)]).await;
        assert_eq!(ids(&store.find_by::<Thing>("colour", "red", 9).unwrap()), ["a", "b"]);
        assert_eq!(ids(&store.find_by::<Thing>("colour", "red", 1).unwrap()), ["a"]);
        assert_eq!(store.count_by::<Thing>("colour", "red").unwrap(), 2);
        put(&store, &[thing("b", &["blue", "blue"], 2)]).await;
        assert_eq!(ids(&store.find_by::<Thing>("colour", "red", 9).unwrap()), ["a"]);
        assert_eq!(ids(&store.find_by::<Thing>("colour", "blue", 9).unwrap()), ["b"]);
        store.commit(Changes::new().delete::<Thing>("b")).await.unwrap();
        assert_eq!(store.find_by::<Thing>("colour", "blue", 9).unwrap(), []);
        assert_eq!(store.find_by::<Other>("colour", "red", 9).unwrap(), []);
        assert_eq!(store.find_by::<Thing>("size", "red", 9).unwrap(), []);
    });
}

#[test]
fn scans_go_in_order_page_by_page() {
    on_every_backend(async |store| {
        put(&store, &[thing("c", &[], 1), thing("a", &[], 2), thing("b", &[], 1), thing("é", &[], 7)]).await;
        assert_eq!(ids(&store.scan::<Thing>(None, 2).unwrap()), ["a", "b"]);
        assert_eq!(ids(&store.scan::<Thing>(Some("b"), 9).unwrap()), ["c", "é"]);
        assert_eq!(ids(&store.scan::<Thing>(Some("é"), 9).unwrap()), Vec::<&str>::new());
        let by_number = |after, limit| {
            let found = store.scan_index::<Thing>("number", after, limit).unwrap();
            found.into_iter().map(|(value, found)| (value.trim_start_matches('0').into(), found.record.id)).collect()
        };
        let first: Vec<(String, String)> = by_number(None, 2);
        assert_eq!(first, [("1".into(), "b".into()), ("1".into(), "c".into())]);
        let rest: Vec<(String, String)> = by_number(Some((&format!("{:020}", 1), "b")), 9);
        assert_eq!(rest, [("1".into(), "c".into()), ("2".into(), "a".into()), ("7".into(), "é".into())]);
    });
}

#[test]
fn collections_do_not_mix() {
    on_every_backend(async |store| {
        let both = Changes::new().insert(&thing("a", &[], 1)).unwrap().insert(&Other("a".into())).unwrap();
        store.commit(both).await.unwrap();
        store.commit(Changes::new().delete::<Thing>("a")).await.unwrap();
        assert_eq!((store.count::<Thing>().unwrap(), store.count::<Other>().unwrap()), (0, 1));
    });
}

#[test]
fn what_cannot_be_read_is_named() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Older(u8);
    impl landfall_types::Record for Older {
        const COLLECTION: &'static str = "thing";
        fn key(&self) -> String {
            "a".into()
        }
    }
    on_every_backend(async |store| {
        store.commit(Changes::new().put(&Older(1)).unwrap()).await.unwrap();
        match store.find::<Thing>("a") {
            Err(ReadError::Unreadable { collection, key, .. }) => assert_eq!((&*collection, &*key), ("thing", "a")),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_log_keeps_its_entries_in_order() {
    on_every_backend(async |store| {
        let two = Changes::new().append("diary", &json!({"b": 1, "a": 2})).unwrap().append("diary", &"x").unwrap();
        let committed = store.commit(two).await.unwrap();
        store.commit(Changes::new().append("diary", &3).unwrap().append("other", &4).unwrap()).await.unwrap();
        let entries = store.log("diary", 0, 9).unwrap();
        assert_eq!(entries.iter().map(|e| e.seq).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(entries[0].entry, json!({"b": 1, "a": 2}));
        assert_eq!(entries[1].previous, entries[0].hash);
        assert_eq!(committed.appended[1], Head { seq: 2, hash: entries[1].hash });
        assert_eq!(store.log("diary", 1, 1).unwrap(), entries[1..2]);
        assert_eq!(store.log_head("diary").unwrap(), Head { seq: 3, hash: entries[2].hash });
        assert_eq!(store.verify_log("diary").unwrap().seq, 3);
        assert_eq!(store.verify_log("other").unwrap().seq, 1);
        assert_eq!(store.verify_log("empty").unwrap().seq, 0);
    });
}

#[test]
fn the_chain_is_as_documented() {
    use aws_lc_rs::digest::{SHA256, digest};
    on_every_backend(async |store| {
        store.commit(Changes::new().append("diary", &json!({"b": 1, "a": "é"})).unwrap()).await.unwrap();
        let mut bytes = digest(&SHA256, b"diary").as_ref().to_vec();
        bytes.extend(1u64.to_be_bytes());
        bytes.extend(r#"{"b":1,"a":"é"}"#.as_bytes());
        assert_eq!(store.log_head("diary").unwrap().hash.0, digest(&SHA256, &bytes).as_ref());
    });
}

#[test]
fn a_log_is_checked_against_a_head_seen_earlier() {
    on_every_backend(async |store| {
        for n in 0..5 {
            store.commit(Changes::new().append("diary", &n).unwrap()).await.unwrap();
        }
        let seen = store.log_head("diary").unwrap();
        store.commit(Changes::new().append("diary", &5).unwrap()).await.unwrap();
        assert_eq!(store.verify_log_since("diary", &seen).unwrap().seq, 6);
        let never = Head { hash: landfall_types::Fingerprint([7; 32]), ..seen };
        assert_eq!(store.verify_log_since("diary", &never), Err(LogBroken::Changed { seq: 5 }));
        let later = Head { seq: 9, ..seen };
        assert_eq!(store.verify_log_since("diary", &later), Err(LogBroken::WrongEnd { last: 6, head: 9 }));
    });
}

#[test]
fn one_of_many_concurrent_commits_wins() {
    on_every_backend(async |store| {
        let tasks: Vec<_> = (0..200)
            .map(|n| {
                let changes = Changes::new().insert(&thing("a", &[], n)).unwrap().append("diary", &n).unwrap();
                let mine = Changes::new().insert(&thing(&format!("own-{n}"), &[], n)).unwrap();
                (store.clone(), changes, mine)
            })
            .map(|(store, changes, mine)| async move { (store.commit(changes).await, store.commit(mine).await) })
            .collect();
        let mut won = 0;
        for (shared, own) in join_all(tasks).await {
            assert!(own.is_ok());
            match shared {
                Ok(_) => won += 1,
                Err(e) => assert_eq!(e, conflict(Found::Exists)),
            }
        }
        assert_eq!((won, store.verify_log("diary").unwrap().seq), (1, 1));
        assert_eq!(store.count::<Thing>().unwrap(), 201);
    });
}

/// Polls all futures until each is done.
async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(move |context| {
        for (future, done) in futures.iter_mut().filter(|(_, done)| done.is_none()) {
            if let std::task::Poll::Ready(output) = future.as_mut().poll(context) {
                *done = Some(output);
            }
        }
        match futures.iter().all(|(_, done)| done.is_some()) {
            true => std::task::Poll::Ready(futures.iter_mut().filter_map(|(_, done)| done.take()).collect()),
            false => std::task::Poll::Pending,
        }
    })
    .await
}

#[test]
fn a_blocking_thread_can_commit() {
    let store = Store::memory();
    store.commit_blocking(Changes::new().insert(&thing("a", &[], 1)).unwrap()).unwrap();
    assert_eq!(store.count::<Thing>().unwrap(), 1);
}
