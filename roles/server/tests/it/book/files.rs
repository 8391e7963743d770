//! What a device is told as, and the files with many.

use super::uri;
use landfall_lifecycle::transfer::{DppRole, Via};
use landfall_server::book::{Entry, Lines, Told, csv, csv_head};
use landfall_types::{Fault, Fingerprint, Refusal, Time};

fn entry() -> Entry {
    let told = Told::write(&"KT-1".parse().unwrap(), &"THERMOSTAT-1".parse().unwrap());
    Entry {
        dpp_role: Some(DppRole::Sta),
        serial_number: Some("KT \"1\", blue".parse().unwrap()),
        configurator: Some(Fingerprint([7; 32])),
        ..Entry::of(uri(1, Some(&told)).to_string().replace("DPP:", "DPP:C:81/1,6;"))
    }
}

fn read(lines: &[&str]) -> Vec<Result<Entry, Refusal>> {
    let mut reader = Lines::default();
    lines.iter().filter_map(|line| reader.read(line)).collect()
}

#[test]
fn the_uri_tells_serial_number_and_model() {
    let (tenant, now) = ("acme".parse().unwrap(), Time::from_unix(1_795_000_000));
    let told = |entry: &Entry| {
        let record = entry.bootstrapping(&tenant, Via::Uri, now).unwrap();
        (record.serial_number.map(|serial| serial.to_string()), record.model.map(|model| model.to_string()))
    };
    let bare = Entry { serial_number: None, ..entry() };
    assert_eq!(told(&bare), (Some("KT-1".into()), Some("THERMOSTAT-1".into())));
    assert_eq!(told(&entry()).0, Some("KT \"1\", blue".into()), "what is told beside the URI counts more");
    assert_eq!(told(&Entry::of(uri(1, Some("SN=4774LH2b4044")).to_string())), (Some("4774LH2b4044".into()), None));
    for other in [None, Some("a lamp"), Some("SN="), Some("")] {
        assert_eq!(told(&Entry::of(uri(1, other).to_string())), (None, None), "{other:?}");
    }
    let record = bare.bootstrapping(&tenant, Via::Uri, now).unwrap();
    let key = uri(1, None).key;
    assert_eq!((record.bootstrap_hash, record.chirp_hash), (key.bootstrap_hash(), key.chirp_hash()));
}

#[test]
fn what_may_not_stand_in_a_uri_is_replaced() {
    let told = Told::write(&"a;b\u{e9}".parse().unwrap(), &"m;n".parse().unwrap());
    assert_eq!(told, "SN=a-b- model=m-n");
    assert!(uri(1, Some(&told)).to_string().parse::<landfall_dpp::Uri>().is_ok());
}

#[test]
fn what_is_no_uri_is_refused_with_its_field() {
    let (tenant, now) = ("acme".parse().unwrap(), Time::from_unix(1_795_000_000));
    let good = uri(1, None).to_string();
    for bad in [good.replace("DPP:", "WIFI:"), good.replace("K:", "Q:"), good.replace("K:M", "K:N"), String::new()] {
        let refusal = Entry::of(&bad).bootstrapping(&tenant, Via::Uri, now).unwrap_err();
        assert_eq!((refusal.fault, refusal.check.as_ref()), (Fault::Malformed, "dpp-uri"), "{bad}");
    }
}

#[test]
fn every_kind_of_file_says_the_same() {
    let entry = entry();
    let json = serde_json::to_string(&entry).unwrap();
    assert_eq!(read(&[&json, "", &json]), [Ok(entry.clone()), Ok(entry.clone())]);
    assert_eq!(read(&[&csv_head(), &csv(&entry)]), [Ok(entry.clone())]);
    assert_eq!(read(&["model,dppUri", &format!("M,{}", uri(1, None))])[0].as_ref().unwrap().model, "M".parse().ok());
    assert_eq!(read(&[&entry.dpp_uri]), [Ok(Entry::of(&entry.dpp_uri))]);
    // What others add to the objects is theirs.
    assert!(read(&[&json.replacen('{', "{\"colour\":\"red\",", 1)])[0].is_ok());
}

#[test]
fn a_bad_line_is_refused_and_the_next_is_read() {
    let json = serde_json::to_string(&entry()).unwrap();
    let twice = json.replacen('{', "{\"dppUri\":\"DPP:;;\",", 1);
    let role = json.replace("\"sta\"", "\"king\"");
    for bad in ["serial,model", "{", "{}", &twice, &role, "hello"] {
        let found = read(&[bad, &json]);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].as_ref().unwrap_err().check, "bootstrapping-line", "{bad}");
        assert!(found[1].is_ok(), "{bad}");
    }
    let line = csv(&entry());
    for bad in [
        line.replacen(",,", ",", 1),
        line.replacen("\",", "\"x,", 1),
        line.trim_end_matches('"').into(),
        format!("{line},x"),
    ] {
        let found = read(&[&csv_head(), &bad, &line]);
        assert!(found[0].is_err() && found[1].is_ok(), "{bad}");
    }
}
