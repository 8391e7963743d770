//! Devices come into a book, and go from one to another.

use super::uri;
use landfall_lifecycle::transfer::{Bootstrapping, Held, Ownership, SUPPLY_LOG, Tenant, Via};
use landfall_server::book::{Book, Entry, Registered, Registration, Selling};
use landfall_store::Store;
use landfall_types::{Changes, Fingerprint, OwnerId, Time};

const NOW: Time = Time::from_unix(1_795_000_000);

fn id(name: &str) -> OwnerId {
    name.parse().unwrap()
}

/// A store with three tenants.
async fn store() -> Store {
    let store = Store::memory();
    let mut changes = Changes::new();
    for name in ["acme", "orchard", "mallory"] {
        changes = changes.insert(&Tenant::new(id(name))).unwrap();
    }
    store.commit(changes).await.unwrap();
    store
}

fn entries(numbers: impl IntoIterator<Item = u8>) -> Vec<Entry> {
    numbers.into_iter().map(|number| Entry::of(uri(number, Some(&format!("SN=KT-{number}"))).to_string())).collect()
}

async fn register(store: &Store, tenant: &str, entries: &[Entry]) -> Vec<Registered> {
    let tenant = id(tenant);
    let all = Registration { tenant: &tenant, entries, released: &[], via: Via::Upload, at: NOW };
    Book::of(store).register(&all).await.unwrap()
}

/// Which of the devices were sold, and for the rest the check that failed.
async fn sell(store: &Store, from: &str, to: &str, order: &str, devices: &[&str]) -> Vec<Result<(), String>> {
    let devices: Vec<String> = devices.iter().map(ToString::to_string).collect();
    let selling = Selling { from: &id(from), to: &id(to), order, devices: &devices, at: NOW };
    let sold = Book::of(store).sell(&selling).await.unwrap();
    sold.into_iter().map(|one| one.map_err(|refusal| refusal.check.to_string())).collect()
}

fn held(store: &Store, tenant: &str) -> usize {
    let page = Book::of(store).page(&id(tenant), None, 1000).unwrap();
    page.iter().filter(|found| found.state == Held::Held).count()
}

fn hash(number: u8) -> Fingerprint {
    uri(number, None).key.bootstrap_hash()
}

#[tokio::test]
async fn a_device_comes_in_once() {
    let store = store().await;
    let some = entries([1, 2, 1]);
    let registered = register(&store, "acme", &some).await;
    assert!(registered.iter().all(Result::is_ok));
    assert_eq!(held(&store, "acme"), 2);
    let written = store.log_head(SUPPLY_LOG).unwrap();
    assert_eq!(written.seq, 2);
    // The same again, some later time and by another way, changes nothing.
    assert_eq!(register(&store, "acme", &some).await, registered);
    assert_eq!(store.log_head(SUPPLY_LOG).unwrap(), written);
    assert_eq!(Book::of(&store).news(&id("acme"), 0, 100).unwrap().len(), 2);
    // Something else about the same device replaces what was told.
    let new = Entry { model: "T-2".parse().ok(), ..some[0].clone() };
    register(&store, "acme", &[new]).await[0].as_ref().unwrap();
    let found = Book::of(&store).by_bootstrap(&id("acme"), &hash(1)).unwrap().unwrap();
    assert_eq!(found.model, "T-2".parse().ok());
    assert_eq!(store.log_head(SUPPLY_LOG).unwrap(), written);
}

#[tokio::test]
async fn what_another_tenant_holds_is_refused_and_stays_where_it_is() {
    let store = store().await;
    register(&store, "acme", &entries([1])).await[0].as_ref().unwrap();
    let outcome = register(&store, "mallory", &entries([1, 2])).await;
    let refusal = outcome[0].as_ref().unwrap_err();
    assert_eq!(refusal.check, "bootstrapping-unclaimed");
    assert!(!refusal.to_string().contains("acme"));
    assert!(outcome[1].is_ok(), "the other device of the same request is taken");
    assert_eq!((held(&store, "acme"), held(&store, "mallory")), (1, 1));
    assert!(Book::of(&store).by_bootstrap(&id("mallory"), &hash(1)).unwrap().is_none());
}

#[tokio::test]
async fn a_sale_moves_a_device_and_says_so_to_both() {
    let store = store().await;
    register(&store, "acme", &entries([1, 2, 3])).await;
    let by_hash = hash(2).to_string();
    let sold = sell(&store, "acme", "orchard", "1001", &["KT-1", &by_hash, "KT-1"]).await;
    assert_eq!(sold, [Ok(()), Ok(()), Ok(())]);
    assert_eq!((held(&store, "acme"), held(&store, "orchard")), (1, 2));
    let found = Book::of(&store).by_bootstrap(&id("orchard"), &hash(1)).unwrap().unwrap();
    assert_eq!((found.via, &found.serial_number), (Via::Sale, &"KT-1".parse().ok()));
    let owner = store.find::<Ownership>(Bootstrapping::ownership_id(&hash(1)).unwrap().as_str()).unwrap().unwrap();
    assert_eq!((owner.owner(), owner.history.len()), (Some(&id("orchard")), 1));
    let news = Book::of(&store).news(&id("orchard"), 0, 100).unwrap();
    assert_eq!(news.iter().map(|one| (one.number, one.held)).collect::<Vec<_>>(), [(1, true), (2, true)]);
    let news = Book::of(&store).news(&id("acme"), 3, 100).unwrap();
    assert_eq!(news.iter().map(|one| (one.number, one.held)).collect::<Vec<_>>(), [(4, false), (5, false)]);
    // Said again, as after an answer that was lost, it is still done, and nothing changes.
    let before = store.log_head(SUPPLY_LOG).unwrap();
    assert_eq!(sell(&store, "acme", "orchard", "1001", &["KT-1", &by_hash]).await, [Ok(()), Ok(())]);
    assert_eq!(store.log_head(SUPPLY_LOG).unwrap(), before);
    // And the new owner can sell it on, even back.
    assert_eq!(sell(&store, "orchard", "acme", "7", &["KT-1"]).await, [Ok(())]);
    assert_eq!((held(&store, "acme"), held(&store, "orchard")), (2, 1));
    // That the first sale is said once more does not make it again.
    assert_eq!(sell(&store, "acme", "orchard", "1001", &["KT-1"]).await, [Ok(())]);
    assert_eq!((held(&store, "acme"), held(&store, "orchard")), (2, 1));
}

#[tokio::test]
async fn nobody_sells_what_is_not_theirs() {
    let store = store().await;
    register(&store, "acme", &entries([1, 2])).await;
    let known = |check: &str| vec![Err(check.to_owned())];
    let by_hash = hash(1).to_string();
    for device in ["KT-1", &by_hash, "KT-9", ""] {
        assert_eq!(sell(&store, "mallory", "orchard", "1", &[device]).await, known("bootstrapping-known"), "{device}");
    }
    for buyer in ["nobody", "acme"] {
        assert_eq!(sell(&store, "acme", buyer, "1", &["KT-1"]).await, known("sale-buyer"), "{buyer}");
    }
    assert_eq!(sell(&store, "acme", "orchard", "1", &["KT-1"]).await, [Ok(())]);
    assert_eq!(sell(&store, "acme", "mallory", "1", &["KT-2"]).await, known("sale-order"));
    assert_eq!(sell(&store, "acme", "mallory", "2", &["KT-1"]).await, known("bootstrapping-known"), "sold twice");
    assert_eq!((held(&store, "acme"), held(&store, "orchard"), held(&store, "mallory")), (1, 1, 0));
    // Who sold a device does not get it back by registering it.
    assert!(register(&store, "acme", &entries([1])).await[0].is_err());
}

#[tokio::test]
async fn a_device_that_was_given_up_is_for_whoever_registers_it_next() {
    let store = store().await;
    register(&store, "acme", &entries([1])).await;
    let book = Book::of(&store);
    assert!(book.release(&id("mallory"), &hash(1), NOW).await.unwrap().is_err());
    assert!(book.release(&id("acme"), &hash(1), NOW).await.unwrap().is_ok());
    assert!(book.release(&id("acme"), &hash(1), NOW).await.unwrap().is_err(), "twice");
    assert_eq!(held(&store, "acme"), 0);
    assert!(register(&store, "orchard", &entries([1])).await[0].is_ok());
    assert!(register(&store, "acme", &entries([1])).await[0].is_err());
}

#[tokio::test]
async fn a_tenant_hears_of_its_own_book_only() {
    let store = store().await;
    for (tenant, numbers) in [("acme", 1..5), ("orchard", 5..9)] {
        register(&store, tenant, &entries(numbers)).await;
    }
    let news = |tenant: &str, after| Book::of(&store).news(&id(tenant), after, 100).unwrap();
    // Numbers are each tenant's own: that of another leads nowhere but into one's own feed.
    for tenant in ["acme", "orchard"] {
        assert_eq!(news(tenant, 0).len(), 4);
        assert_eq!(news(tenant, 3).len(), 1);
        assert!(news(tenant, 4).is_empty() && news(tenant, u64::MAX).is_empty());
    }
    let hashes: Vec<_> = news("acme", 0).into_iter().map(|one| one.bootstrap_hash).collect();
    assert!(news("orchard", 0).iter().all(|one| !hashes.contains(&one.bootstrap_hash)));
    assert!(news("mallory", 0).is_empty());
    let pages = Book::of(&store).news(&id("acme"), 1, 2).unwrap();
    assert_eq!(pages.iter().map(|one| one.number).collect::<Vec<_>>(), [2, 3]);
}

/// What became of each, by the check that failed.
async fn withdraw(store: &Store, tenant: &str, devices: &[Fingerprint]) -> Vec<Result<(), String>> {
    let struck_off: Vec<_> = devices.iter().map(|hash| (*hash, "stolen".to_owned())).collect();
    let done = Book::of(store).withdraw(&id(tenant), &struck_off, NOW).await.unwrap();
    done.into_iter().map(|one| one.map_err(|refusal| refusal.check.to_string())).collect()
}

#[tokio::test]
async fn what_was_struck_off_is_nobodys_to_sell_or_register() {
    let store = store().await;
    register(&store, "acme", &entries([1, 2, 3])).await;
    assert_eq!(sell(&store, "acme", "orchard", "1", &["KT-3"]).await, [Ok(())]);
    // Twice in one request, never registered, and sold before.
    let told = withdraw(&store, "acme", &[hash(1), hash(1), hash(77), hash(3)]).await;
    assert_eq!(told, [Ok(()), Ok(()), Ok(()), Err("bootstrapping-held".into())]);
    assert_eq!((held(&store, "acme"), held(&store, "orchard")), (1, 1));
    let last = Book::of(&store).news(&id("acme"), 0, 100).unwrap().pop().unwrap();
    assert_eq!((last.held, last.bootstrap_hash), (false, hash(1)));
    let written = store.log_head(SUPPLY_LOG).unwrap();
    assert_eq!(withdraw(&store, "acme", &[hash(1)]).await, [Ok(())], "said again");
    assert_eq!(store.log_head(SUPPLY_LOG).unwrap(), written);

    assert!(sell(&store, "acme", "orchard", "2", &["KT-1"]).await[0].is_err());
    assert_eq!(sell(&store, "acme", "orchard", "2", &["KT-2"]).await, [Ok(())], "and one that was not struck off");
    let check =
        async |tenant: &str| register(&store, tenant, &entries([1])).await[0].as_ref().unwrap_err().check.clone();
    assert_eq!(check("acme").await, "bootstrapping-withdrawn");
    assert_eq!(check("mallory").await, "bootstrapping-unclaimed");
    assert!(Book::of(&store).release(&id("acme"), &hash(1), NOW).await.unwrap().is_err(), "or given up");
}

#[tokio::test]
async fn nobody_strikes_off_what_is_anothers() {
    let store = store().await;
    register(&store, "acme", &entries([1])).await;
    assert_eq!(withdraw(&store, "mallory", &[hash(1)]).await, [Ok(())], "as of one that does not exist");
    assert_eq!(held(&store, "acme"), 1);
    assert_eq!(sell(&store, "acme", "orchard", "1", &["KT-1"]).await, [Ok(())]);
}
