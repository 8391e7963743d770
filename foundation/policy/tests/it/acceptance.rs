use landfall_policy::{
    Facts, Verdict,
    acceptance::{APPROVED, Acceptance, FOREIGN_OWNER, Listed, MANUFACTURER, MODEL, REJECTED, REVOKED, SERIAL_NUMBER},
    decide,
};
use landfall_types::Time;

const NOW: Time = Time::from_unix(1_000);

fn device() -> Facts {
    Facts::new().with(MANUFACTURER, "acme", "trust anchors", NOW).with(MODEL, "T1", "IDevID", NOW).with(
        SERIAL_NUMBER,
        "AC-0005",
        "IDevID",
        NOW,
    )
}

fn verdict(acceptance: &Acceptance, facts: &Facts) -> Verdict {
    decide(&acceptance.policy(), facts, NOW).verdict
}

fn listed() -> Acceptance {
    Acceptance {
        manufacturers: vec!["acme".into()],
        models: vec!["T1".into()],
        serials: (0..100_000).map(|n| format!("AC-{n:04}")).collect(),
        ..Acceptance::default()
    }
}

#[test]
fn a_device_must_be_on_every_list() {
    assert_eq!(verdict(&listed(), &device()), Verdict::Permit);
    for (fact, other) in [(MANUFACTURER, "globex"), (MODEL, "T2"), (SERIAL_NUMBER, "XX-0005")] {
        assert_eq!(verdict(&listed(), &device().with(fact, other, "test", NOW)), Verdict::Deny, "{fact}");
        let mut unknown = device();
        unknown.0.remove(fact);
        assert_eq!(verdict(&listed(), &unknown), Verdict::Deny, "without {fact}");
    }
}

#[test]
fn nothing_configured_lets_nothing_in() {
    assert_eq!(verdict(&Acceptance::default(), &device()), Verdict::Deny);
}

#[test]
fn a_person_can_be_asked() {
    let ask = Acceptance { others: Verdict::Ask, ..listed() };
    let stranger = device().with(MODEL, "T2", "IDevID", NOW);
    assert_eq!(verdict(&ask, &device()), Verdict::Permit);
    assert_eq!(verdict(&ask, &stranger), Verdict::Ask);
    assert_eq!(verdict(&ask, &stranger.clone().with(APPROVED, true, "operator", NOW)), Verdict::Permit);
    assert_eq!(verdict(&ask, &stranger.with(REJECTED, true, "operator", NOW)), Verdict::Deny);
    let always = Acceptance { listed: Listed::Ask, ..listed() };
    assert_eq!(verdict(&always, &device()), Verdict::Ask);
}

#[test]
fn what_was_revoked_stays_out_even_if_approved() {
    let revoked = device().with(APPROVED, true, "operator", NOW).with(REVOKED, true, "records", NOW);
    assert_eq!(verdict(&listed(), &revoked), Verdict::Deny);
}

#[test]
fn a_person_decides_about_what_others_had_before() {
    let had = device().with(FOREIGN_OWNER, true, "MASA audit log", NOW);
    let approved_before = had.clone().with(APPROVED, true, "operator", NOW);
    let knowing = device().with(FOREIGN_OWNER, false, "MASA audit log", NOW).with(APPROVED, true, "operator", NOW);
    for (set, new, approved) in [
        (listed(), Verdict::Ask, Verdict::Ask),
        (Acceptance { foreign_owner: Verdict::Deny, ..listed() }, Verdict::Deny, Verdict::Deny),
        (Acceptance { foreign_owner: Verdict::Permit, ..listed() }, Verdict::Permit, Verdict::Permit),
    ] {
        assert_eq!(verdict(&set, &had), new);
        assert_eq!(verdict(&set, &approved_before), approved);
        assert_eq!(verdict(&set, &knowing), Verdict::Permit);
        assert_eq!(verdict(&set, &had.clone().with(REJECTED, true, "operator", NOW)), Verdict::Deny);
    }
}
