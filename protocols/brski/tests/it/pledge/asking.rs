//! Whom a pledge asks, how often, and for how long (RFC 8995 s4.1, s5.1, s5.2, s5.6).

use super::{
    registrar::{Registrar, instead, later},
    sim::{Fate, Sim, cast, config, offer},
};
use landfall_brski::{
    paths,
    pledge::{Config, ConnectionId, Input, Onboarding, Progress},
    voucher::{Assertion, Format, VoucherRequest, open},
};
use landfall_testkit::{Domain, Manufacturer, NOW, Rng};
use landfall_types::http::{Request, Response};
use std::{collections::BTreeSet, time::Duration};

const DAY: Duration = Duration::from_secs(86_400);

fn silent() -> Response {
    Response::new(0)
}

/// A device that never gives up, among registrars that `change` makes different.
fn among(hosts: &[&'static str], change: impl Fn(&str, &mut Registrar)) -> Sim<Onboarding> {
    let (maker, domain, device) = cast();
    let registrars = hosts.iter().map(|host| {
        let mut registrar = Registrar::new(&maker, &domain);
        change(host, &mut registrar);
        (*host, registrar)
    });
    let config = Config { attempts: None, ..config(&maker, &device) };
    Sim::new(config, device, registrars.collect())
}

fn seconds(sim: &Sim<Onboarding>) -> Vec<(u64, &str)> {
    sim.connections.iter().map(|(at, to, _)| (at.since(NOW).as_secs(), to.trim_end_matches(":443"))).collect()
}

fn request(request: &Request) -> VoucherRequest {
    open(Format::CmsJson, &request.body).unwrap().payload
}

#[test]
fn the_request_says_what_it_must() {
    let mut sim = Sim::with(|_| {});
    sim.run();
    let shown = sim.registrar().shown[0].clone();
    let sent = sim.registrar().at(paths::REQUEST_VOUCHER)[0].clone();
    let asked = request(&sent);
    assert_eq!(asked.serial_number.as_str(), "SN-0001");
    assert_eq!(asked.assertion, Some(Assertion::Proximity));
    assert_eq!(asked.proximity_registrar_cert, Some(shown));
    assert_eq!(asked.created_on, Some(NOW));
    assert!(asked.nonce.is_some() && asked.prior_signed_voucher_request.is_none());
    assert_eq!(sent.headers.first("accept"), Some("application/voucher-cms+json"));
}

#[test]
fn without_a_clock_there_is_no_date() {
    let (maker, domain, device) = cast();
    let registrar = Registrar::new(&maker, &domain);
    let mut sim = Sim::new(config(&maker, &device).without_clock(), device, vec![("registrar", registrar)]);
    sim.run();
    assert_eq!(request(sim.registrar().at(paths::REQUEST_VOUCHER)[0]).created_on, None);
}

#[test]
fn a_slow_registrar_is_left_for_the_next_after_five_seconds() {
    let mut sim = among(&["slow", "good"], |host, registrar| {
        if host == "slow" {
            registrar.quirk = instead(paths::REQUEST_VOUCHER, |_| silent());
        }
    });
    sim.run();
    assert_eq!(sim.failures(), ["registrar-progress"]);
    let tries = seconds(&sim);
    assert_eq!(tries[0], (0, "slow"));
    // Dropped after 5 s, the next 3 to 5 s later.
    assert!(tries[1].1 == "good" && (8..=10).contains(&tries[1].0), "{tries:?}");
    assert!(sim.summary.is_some());
}

#[test]
fn a_slow_registrar_alone_gets_a_minute() {
    let mut sim = among(&["slow"], |_, registrar| {
        registrar.quirk = instead(paths::REQUEST_VOUCHER, |_| silent());
    });
    sim.run_for(Duration::from_secs(59));
    assert!(sim.failures().is_empty());
    sim.run_for(Duration::from_secs(2));
    assert_eq!(sim.failures(), ["registrar-progress"]);
}

#[test]
fn hearing_of_another_ends_the_patience() {
    let mut sim = among(&["slow"], |_, registrar| {
        registrar.quirk = instead(paths::REQUEST_VOUCHER, |_| silent());
    });
    sim.run_for(Duration::from_secs(20));
    sim.tell(Input::Offers(vec![offer("other")]));
    sim.run_for(Duration::from_secs(1));
    assert_eq!(sim.failures(), ["registrar-progress"]);
}

#[test]
fn proxies_take_turns_and_each_backs_off_by_itself() {
    let mut sim = among(&["a", "b", "c"], |_, registrar| registrar.reachable = false);
    sim.run_for(DAY);
    let tries = seconds(&sim);
    let order: Vec<_> = tries.iter().take(3).map(|(_, to)| *to).collect();
    assert_eq!(order, ["a", "b", "c"]);
    let gaps = tries.windows(2).map(|pair| pair[1].0 - pair[0].0);
    assert!(gaps.clone().all(|gap| gap >= 3), "{tries:?}");
    // Each is tried ever more rarely, up to once an hour: 10 doublings, then the rest of the day.
    for host in ["a", "b", "c"] {
        let mine: Vec<_> = tries.iter().filter(|(_, to)| *to == host).map(|(at, _)| *at).collect();
        assert!((25..=36).contains(&mine.len()), "{} tries", mine.len());
        let last = mine[mine.len() - 1] - mine[mine.len() - 2];
        assert!((3600..3620).contains(&last), "{last}");
    }
    assert!(sim.discoveries > 3);
}

#[test]
fn every_attempt_has_its_own_nonce() {
    let mut sim = among(&["a", "b"], |_, registrar| {
        registrar.quirk = instead(paths::REQUEST_VOUCHER, |_| Response::text(403, "no"));
    });
    sim.run_for(DAY);
    let sent: Vec<_> = sim.registrars.iter().flat_map(|(_, r)| r.at(paths::REQUEST_VOUCHER)).collect();
    let nonces: BTreeSet<_> = sent.iter().map(|sent| request(sent).nonce.unwrap()).collect();
    assert!(sent.len() > 20);
    assert_eq!(nonces.len(), sent.len());
    assert!(sim.failures().iter().all(|check| check == "registrar-status"));
    // Nothing is said about a voucher that never came.
    assert!(sim.registrar().told(paths::VOUCHER_STATUS).is_empty());
}

#[test]
fn a_failed_voucher_leads_to_the_next_proxy() {
    let mut sim = among(&["bad", "good"], |host, registrar| {
        if host == "bad" {
            registrar.voucher = Box::new(|members| drop(members.remove("pinned-domain-cert")));
        }
    });
    sim.run();
    assert_eq!(sim.failures(), ["voucher-pinned-domain-cert"]);
    assert_eq!(sim.summary.as_ref().unwrap().credential.offer, offer("good"));
}

#[test]
fn later_means_the_same_request_again() {
    let mut sim = among(&["registrar"], |_, r| r.quirk = later(paths::REQUEST_VOUCHER, 3, "30"));
    sim.run();
    let sent: Vec<_> = sim.registrar().at(paths::REQUEST_VOUCHER).into_iter().cloned().collect();
    assert_eq!(sent.len(), 4);
    assert!(sent.iter().all(|again| *again == sent[0]));
    assert_eq!(sim.summary.as_ref().unwrap().took.as_secs(), 90);
    assert_eq!(sim.connections.len(), 2, "one with the IDevID, one with the LDevID");
}

#[test]
fn retry_after_is_at_most_a_minute() {
    for header in ["86400", "99999999999999999999", "soon", ""] {
        let mut sim = among(&["registrar"], |_, r| r.quirk = later(paths::REQUEST_VOUCHER, 1, header));
        sim.run();
        assert_eq!(sim.summary.as_ref().unwrap().took.as_secs(), 60, "{header:?}");
    }
}

#[test]
fn later_for_ever_ends_after_four_days() {
    let mut sim = Sim::with(|r| r.quirk = later(paths::REQUEST_VOUCHER, usize::MAX, "60"));
    assert_eq!(sim.refusal().check, "voucher-pending");
    assert_eq!(sim.now.since(NOW), 4 * DAY);
}

#[test]
fn who_says_later_does_not_block_the_next() {
    let mut sim = among(&["stalling", "good"], |host, registrar| {
        if host == "stalling" {
            registrar.quirk = later(paths::REQUEST_VOUCHER, usize::MAX, "60");
        }
    });
    sim.run_for(Duration::from_secs(30));
    assert_eq!(sim.summary.as_ref().unwrap().credential.offer, offer("good"));
}

#[test]
fn a_request_put_aside_is_taken_up_unchanged() {
    let mut sim = among(&["approving", "closed"], |host, registrar| {
        registrar.reachable = host == "approving";
        registrar.quirk = later(paths::REQUEST_VOUCHER, 5, "60");
    });
    sim.run();
    let sent = sim.registrar().at(paths::REQUEST_VOUCHER);
    assert_eq!(sent.len(), 6);
    assert!(sent.iter().all(|again| *again == sent[0]));
}

#[test]
fn a_request_put_aside_is_not_given_to_another() {
    // While the request waits, someone else takes the registrar's place.
    let mut sim = among(&["approving", "closed"], |host, registrar| {
        registrar.reachable = host == "approving";
        registrar.quirk = later(paths::REQUEST_VOUCHER, 1, "60");
    });
    sim.run_for(Duration::from_secs(30));
    let domain = Domain::named("Other Domain", "registrar.example");
    let registrar = Registrar::new(&sim.registrar().maker, &domain);
    let before = std::mem::replace(sim.registrar(), registrar);
    let sent = request(before.at(paths::REQUEST_VOUCHER)[0]);
    sim.run();
    assert!(sim.failures().contains(&"registrar-changed".to_owned()), "{:?}", sim.failures());
    let later = request(sim.registrar().at(paths::REQUEST_VOUCHER)[0]);
    assert_ne!(later.nonce, sent.nonce);
}

#[test]
fn a_connection_lost_while_waiting_is_made_again() {
    let mut sim = among(&["registrar"], |_, r| r.quirk = later(paths::REQUEST_VOUCHER, 2, "60"));
    sim.run_for(Duration::from_secs(30));
    sim.cut();
    sim.run();
    let sent = sim.registrar().at(paths::REQUEST_VOUCHER);
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|again| *again == sent[0]));
    assert!(sim.failures().is_empty());
}

#[test]
fn a_connection_that_died_while_waiting_shows_only_at_the_next_request() {
    let mut sim = among(&["registrar"], |_, r| r.quirk = later(paths::REQUEST_VOUCHER, 2, "60"));
    let mut requests = 0;
    sim.network = Box::new(move || {
        requests += 1;
        if requests == 2 { Fate::LostGoing } else { Fate::Answered }
    });
    sim.run();
    assert!(sim.failures().is_empty());
    let sent = sim.registrar().at(paths::REQUEST_VOUCHER);
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|again| *again == sent[0]));
}

#[test]
fn who_redirects_and_then_says_later_does_not_block_the_next() {
    let mut sim = among(&["first", "second", "good"], |host, registrar| {
        registrar.quirk = match host {
            "first" => instead(paths::REQUEST_VOUCHER, redirect("https://second")),
            "second" => later(paths::REQUEST_VOUCHER, usize::MAX, "60"),
            _ => return,
        };
    });
    sim.run_for(Duration::from_secs(60));
    assert_eq!(sim.summary.as_ref().unwrap().credential.offer, offer("good"));
}

fn redirect(to: &'static str) -> impl FnMut(&Request) -> Response + Send {
    move |_| Response::new(307).header("location", to)
}

#[test]
fn one_redirection_is_followed_with_a_new_request() {
    let mut sim = among(&["first", "second"], |host, registrar| {
        if host == "first" {
            registrar.quirk =
                instead(paths::REQUEST_VOUCHER, redirect("https://second/.well-known/brski/requestvoucher"));
        }
    });
    sim.run_for(Duration::from_secs(2));
    assert_eq!(seconds(&sim)[..2], [(0, "first"), (0, "second")]);
    let nonce = |at: usize| request(sim.registrars[at].1.at(paths::REQUEST_VOUCHER)[0]).nonce;
    assert_ne!(nonce(0), nonce(1));
    assert_eq!(sim.summary.as_ref().unwrap().credential.offer.to_string(), "second:443");
}

#[test]
fn a_second_redirection_is_not_followed() {
    let (maker, domain, device) = cast();
    let mut first = Registrar::new(&maker, &domain);
    first.quirk = instead(paths::REQUEST_VOUCHER, redirect("https://second"));
    let mut second = Registrar::new(&maker, &domain);
    second.quirk = instead(paths::REQUEST_VOUCHER, redirect("https://first"));
    let mut sim = Sim::new(config(&maker, &device), device, vec![("first", first), ("second", second)]);
    assert_eq!(sim.refusal().check, "registrar-redirect");
    assert_eq!(sim.connections.len(), 2);
}

#[test]
fn a_redirection_in_circles_at_one_origin_is_not_followed() {
    let mut sim = Sim::with(|registrar| {
        registrar.quirk = Box::new(|request| {
            request.path.starts_with("/.well-known/brski/r").then(|| redirect("/.well-known/brski/round")(request))
        });
    });
    assert_eq!(sim.refusal().check, "registrar-redirect");
    assert_eq!(sim.registrar().seen.len(), 2);
}

#[test]
fn redirections_that_lead_nowhere() {
    for to in ["http://plain", "", "ftp://x"] {
        let mut sim = Sim::with(|r| r.quirk = instead(paths::REQUEST_VOUCHER, redirect(to)));
        assert_eq!(sim.refusal().check, "registrar-redirect", "{to:?}");
    }
}

#[test]
fn an_absurd_chain_is_refused() {
    let mut sim = Sim::with(|r| r.shown = vec![r.shown[0].clone(); 50]);
    assert_eq!(sim.refusal().check, "registrar-certificate");
    let mut sim = Sim::with(|r| r.shown.clear());
    assert_eq!(sim.refusal().check, "registrar-certificate");
}

#[test]
fn an_element_that_fails_sends_nothing() {
    let (maker, domain, device) = cast();
    let mut sim = Sim::new(config(&maker, &device), device, vec![("registrar", Registrar::new(&maker, &domain))]);
    sim.element = false;
    assert_eq!(sim.refusal().check, "device-element");
    assert!(sim.registrar().seen.is_empty());
}

#[test]
fn what_comes_late_or_twice_is_ignored() {
    let mut sim = among(&["slow", "good"], |host, registrar| {
        if host == "slow" {
            registrar.quirk = instead(paths::REQUEST_VOUCHER, |_| silent());
        }
    });
    sim.run_for(Duration::from_secs(6));
    // The answer of the one that was given up arrives after all, twice, and its connection breaks.
    let gone = ConnectionId(1);
    for _ in 0..2 {
        sim.tell(Input::Response { connection: gone, response: Response::new(200) });
        sim.tell(Input::ConnectionLost { connection: gone, why: "late".into() });
        sim.tell(Input::Timeout);
    }
    sim.run();
    assert_eq!(sim.failures(), ["registrar-progress"]);
    assert!(sim.summary.is_some());
}

#[test]
fn what_was_not_asked_for_is_refused_and_changes_nothing() {
    use landfall_types::Machine;
    let mut sim = among(&["registrar"], |_, registrar| {
        registrar.quirk = later(paths::REQUEST_VOUCHER, 1, "60");
    });
    sim.run_for(Duration::from_secs(10));
    for input in [Input::Signed(vec![]), Input::Persisted, Input::Failed(String::new()), Input::Start] {
        sim.machine.handle(sim.now, input).unwrap_err();
    }
    sim.run();
    assert!(sim.summary.is_some());
}

#[test]
fn a_new_link_ends_the_back_off() {
    let mut sim = among(&["registrar"], |_, registrar| registrar.reachable = false);
    sim.run_for(Duration::from_secs(7000));
    let tries = sim.connections.len();
    sim.registrar().reachable = true;
    sim.tell(Input::LinkChanged);
    sim.run_for(Duration::from_secs(6));
    assert_eq!(sim.connections.len(), tries + 2);
    assert!(sim.summary.is_some());
}

#[test]
fn announcements_are_listened_to_all_the_time() {
    let (maker, domain, device) = cast();
    let config = Config { attempts: None, ..config(&maker, &device) };
    let mut sim = Sim::new(config, device, vec![]);
    sim.run_for(Duration::from_secs(1000));
    assert_eq!((sim.connections.len(), sim.discoveries), (0, 1));
    sim.registrars.push((offer("late"), Registrar::new(&maker, &domain)));
    sim.tell(Input::Offers(vec![offer("late")]));
    sim.run();
    assert!(sim.summary.is_some());
    assert!(sim.notes.iter().any(|note| matches!(note, Progress::Found(_))));
}

/// Whatever a registrar answers, the device survives it, and keeps nothing that it should not.
#[test]
fn any_answers_are_survived() {
    let types =
        ["", "application/voucher-cms+json", "application/json", "application/pkcs7-mime", "text/plain", "\u{0}"];
    for seed in 0..40 {
        let mut sim = among(&["a", "b"], |_, registrar| {
            let mut rng = Rng::new(seed);
            registrar.quirk = Box::new(move |_| {
                let statuses = [0, 100, 200, 200, 200, 202, 204, 301, 307, 401, 404, 500, 599, 65_535];
                let mut response = Response::new(statuses[rng.below(statuses.len() as u64) as usize]);
                response.headers.add("content-type", types[rng.below(types.len() as u64) as usize]);
                response.headers.add("retry-after", ["-1", "0", "7", "x"][rng.below(4) as usize]);
                response.headers.add("location", ["/", "https://b/", "https://", "//"][rng.below(4) as usize]);
                response.body = (0..rng.below(200)).map(|_| rng.bytes::<1>()[0]).collect();
                Some(response)
            });
        });
        sim.run_for(Duration::from_secs(3600));
        assert!(sim.persisted.is_empty() && sim.summary.is_none());
        assert!(sim.connections.len() > 3, "seed {seed}: it went on trying");
    }
}

#[test]
fn another_makers_device_gets_nowhere() {
    let (maker, domain, _) = cast();
    let stranger = Manufacturer::new().device("SN-0001");
    let config = Config::new(stranger.certificate.clone(), stranger.intermediates.clone(), maker.masa_anchors());
    // Its request is well formed, so this trusting registrar asks; but the voucher is the other maker's business.
    let mut sim = Sim::new(config.unwrap(), stranger, vec![("registrar", Registrar::new(&maker, &domain))]);
    sim.registrar().voucher = Box::new(move |members| {
        let issuer = maker.device("SN-0001").certificate.idevid_issuer().unwrap();
        members.insert("idevid-issuer".into(), super::registrar::base64(&issuer));
    });
    sim.run_for(Duration::from_secs(1));
    assert_eq!(sim.failures(), ["voucher-idevid-issuer"]);
}
