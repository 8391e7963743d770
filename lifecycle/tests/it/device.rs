//! The state machine of a device.

use landfall_lifecycle::{
    device::{DeviceEvent, Effect, State, may_enrol, step},
    network::{Birth, ConfigurationSeen, DomainDevice, HistorySeen, Identity, LOG, Report, ReportKind, VoucherSeen},
};
use landfall_policy::{Decision, Verdict, acceptance};
use landfall_types::{
    DeviceId, DomainId, Fingerprint, SerialNumber, Time,
    record::{Change, Expect, Version},
};
use proptest::prelude::*;
use std::time::Duration;

const NOW: Time = Time::from_unix(1_795_000_000);

fn seen() -> DomainDevice {
    let serial: SerialNumber = "EX-1".parse().unwrap();
    let identity = Identity {
        device: DeviceId::new(&[7; 20], &serial),
        serial_number: serial,
        vendor: Some("example".parse().unwrap()),
        model: Some("T1".parse().unwrap()),
        birth: Birth::IDevId { idevid: Fingerprint([1; 32]), birth_key: None, hardware_backed: false },
    };
    DomainDevice::seen(identity, NOW)
}

fn asked(verdict: Verdict) -> DeviceEvent {
    DeviceEvent::Asked { decision: Decision::because(verdict, "test", "because") }
}

fn vouchered() -> DeviceEvent {
    let voucher = VoucherSeen { at: NOW, assertion: None, from_stock: false, fingerprint: Fingerprint([2; 32]) };
    DeviceEvent::Vouchered { voucher }
}

fn certified() -> DeviceEvent {
    DeviceEvent::Certified { serial: "01".into() }
}

fn report(about: ReportKind, success: bool, with_new_certificate: Option<bool>) -> DeviceEvent {
    let reason = (!success).then(|| "no clock".to_owned());
    DeviceEvent::Reported { report: Report { at: NOW, about, success, reason, with_new_certificate } }
}

fn connected() -> DeviceEvent {
    report(ReportKind::Enrolment, true, Some(true))
}

fn history(verdict: Verdict, foreign_nonceless: Vec<DomainId>) -> DeviceEvent {
    let history = HistorySeen { at: NOW, events: 2, foreign_domains: vec![], foreign_nonceless, left_out: 0 };
    DeviceEvent::HistoryRead { history, decision: Decision::because(verdict, "test", "because") }
}

fn by() -> String {
    "ann".into()
}

fn configured() -> DeviceEvent {
    DeviceEvent::Configured {
        configuration: ConfigurationSeen {
            introduced: None,
            at: NOW,
            networks: vec!["Home".into()],
            role: "sta".into(),
            network_authenticated: true,
            key: Fingerprint([3; 32]),
            expires: None,
            mud_url: None,
            others: serde_json::Map::new(),
        },
    }
}

fn deleted() -> DeviceEvent {
    DeviceEvent::Deleted { by: by(), why: "moves".into() }
}

fn revoked() -> DeviceEvent {
    DeviceEvent::Revoked { by: by(), why: "stolen".into() }
}

fn retired() -> DeviceEvent {
    DeviceEvent::Retired { by: by(), why: "sold".into() }
}

/// The device after all of it.
fn after(events: &[DeviceEvent]) -> DomainDevice {
    events.iter().fold(seen(), |device, event| step(&device, event.clone(), NOW).unwrap().device)
}

fn refused(device: &DomainDevice, event: DeviceEvent) -> String {
    step(device, event, NOW).unwrap_err().check.into_owned()
}

fn all_the_way() -> [DeviceEvent; 5] {
    [asked(Verdict::Permit), vouchered(), report(ReportKind::Voucher, true, None), certified(), connected()]
}

#[test]
fn a_device_goes_all_the_way() {
    let states = [State::Authorized, State::Vouchered, State::Vouchered, State::Enrolled, State::Connected];
    for (count, state) in (1..).zip(states) {
        assert_eq!(after(&all_the_way()[..count]).state, state);
    }
    let renewed = step(&after(&all_the_way()), DeviceEvent::Certified { serial: "02".into() }, NOW).unwrap().device;
    assert_eq!((renewed.state, renewed.certificate.as_deref()), (State::Connected, Some("02")));
}

#[test]
fn what_policy_says_is_done() {
    assert_eq!(after(&[asked(Verdict::Deny)]).state, State::Refused);
    let asking = step(&seen(), asked(Verdict::Ask), NOW).unwrap();
    assert_eq!((asking.device.state, asking.effects), (State::AwaitingApproval, vec![Effect::AskOperator]));
    let again = step(&asking.device, asked(Verdict::Ask), NOW + Duration::from_secs(30)).unwrap();
    assert_eq!((again.effects, again.device.since), (vec![], NOW));
    assert_eq!(again.device.last_asked, NOW + Duration::from_secs(30));
}

#[test]
fn an_operator_decides_about_a_device_that_waits() {
    let waiting = after(&[asked(Verdict::Ask)]);
    let approved = step(&waiting, DeviceEvent::Approved { by: by() }, NOW).unwrap().device;
    assert_eq!(approved.state, State::Authorized);
    assert!(approved.facts(NOW).find(acceptance::APPROVED).is_some());
    let rejected = step(&waiting, DeviceEvent::Rejected { by: by() }, NOW).unwrap().device;
    assert_eq!(rejected.state, State::Refused);
    assert!(rejected.facts(NOW).find(acceptance::REJECTED).is_some());
    assert_eq!(refused(&after(&all_the_way()), DeviceEvent::Approved { by: by() }), "device-waiting");
}

#[test]
fn an_approval_holds_for_the_other_domains_that_were_known() {
    let domain = |number: u8| DomainId(vec![number; 20]);
    let log_of = |domains: Vec<DomainId>, verdict| {
        let history =
            HistorySeen { at: NOW, events: 2, foreign_domains: domains, foreign_nonceless: vec![], left_out: 0 };
        DeviceEvent::HistoryRead { history, decision: Decision::because(verdict, "test", "because") }
    };
    let approved = DeviceEvent::Approved { by: by() };
    let asked = |verdict| [asked(Verdict::Ask), approved.clone(), log_of(vec![domain(1)], verdict)];
    // Approved before the log was read: it has to be approved again.
    let waiting = after(&asked(Verdict::Ask));
    assert_eq!((waiting.state, waiting.has_foreign_owner()), (State::AwaitingApproval, true));
    let knowing = step(&waiting, approved.clone(), NOW).unwrap().device;
    assert_eq!((knowing.state, knowing.has_foreign_owner()), (State::Authorized, false));
    let same = step(&knowing, log_of(vec![domain(1)], Verdict::Permit), NOW).unwrap().device;
    assert!(!same.has_foreign_owner());
    let another = step(&knowing, log_of(vec![domain(1), domain(2)], Verdict::Ask), NOW).unwrap().device;
    assert!(another.has_foreign_owner());
    // A refusal knows nothing that would let it in, and what left is judged anew.
    let rejected = step(&waiting, DeviceEvent::Rejected { by: by() }, NOW).unwrap().device;
    assert!(rejected.has_foreign_owner());
    let left = step(&knowing, retired(), NOW).unwrap().device;
    assert!(left.approval().is_none() && left.facts(NOW).find(acceptance::APPROVED).is_none());
}

#[test]
fn nothing_is_skipped() {
    assert_eq!(refused(&seen(), vouchered()), "device-authorized");
    assert_eq!(refused(&after(&[asked(Verdict::Ask)]), vouchered()), "device-authorized");
    assert_eq!(refused(&after(&[asked(Verdict::Deny)]), vouchered()), "device-authorized");
    assert_eq!(refused(&after(&[asked(Verdict::Permit)]), certified()), "enrol-after-voucher");
    assert_eq!(refused(&seen(), report(ReportKind::Voucher, true, None)), "device-vouchered");
    assert_eq!(may_enrol(None).unwrap_err().check, "enrol-after-voucher");
    assert!(may_enrol(Some(&after(&all_the_way()))).is_ok());
}

#[test]
fn a_bad_history_turns_the_decision_round() {
    let device = after(&[asked(Verdict::Permit)]);
    let bad = step(&device, history(Verdict::Deny, vec![DomainId(vec![3; 20])]), NOW).unwrap();
    assert_eq!(bad.device.state, State::Refused);
    assert!(matches!(&bad.effects[..], [Effect::Alert(text)] if text.contains("take it over")));
    assert_eq!(after(&[asked(Verdict::Permit), history(Verdict::Permit, vec![])]).state, State::Authorized);
    let late = after(&[asked(Verdict::Permit), vouchered(), history(Verdict::Deny, vec![])]);
    assert_eq!(may_enrol(Some(&late)).unwrap_err().check, "enrol-after-voucher");
    let fine = after(&[asked(Verdict::Permit), vouchered(), history(Verdict::Permit, vec![])]);
    assert_eq!(fine.state, State::Vouchered);
    assert_eq!(refused(&after(&[asked(Verdict::Deny)]), history(Verdict::Permit, vec![])), "device-authorized");
}

#[test]
fn an_enrolment_counts_once_the_new_certificate_is_used() {
    let enrolled = after(&all_the_way()[..4]);
    for with_new in [None, Some(false)] {
        let over_old = step(&enrolled, report(ReportKind::Enrolment, true, with_new), NOW).unwrap();
        assert_eq!(over_old.device.state, State::Enrolled);
        assert!(matches!(&over_old.effects[..], [Effect::Alert(_)]));
    }
    let failed = step(&enrolled, report(ReportKind::Enrolment, false, None), NOW).unwrap();
    assert_eq!(failed.device.state, State::Enrolled);
    assert!(matches!(&failed.effects[..], [Effect::Alert(text)] if text.contains("no clock")));
}

#[test]
fn who_was_thrown_out_stays_out_until_reinstated() {
    let thrown_out = step(&after(&all_the_way()), revoked(), NOW).unwrap();
    let certificates = Effect::RevokeCertificates { by: by(), why: "stolen".into() };
    assert_eq!(thrown_out.effects, [certificates, Effect::ForgetVoucher]);
    let device = thrown_out.device;
    assert_eq!(refused(&device, asked(Verdict::Permit)), "device-revoked");
    assert_eq!(refused(&device, certified()), "enrol-after-voucher");
    assert_eq!(refused(&device, DeviceEvent::Approved { by: by() }), "device-waiting");
    assert_eq!(refused(&device, revoked()), "device-state");
    let back = step(&device, DeviceEvent::Reinstated { by: by() }, NOW).unwrap().device;
    assert_eq!(back.state, State::Seen);
    assert_eq!(refused(&back, DeviceEvent::Reinstated { by: by() }), "device-state");
}

#[test]
fn a_retired_device_begins_anew() {
    let approved = after(&[asked(Verdict::Ask), DeviceEvent::Approved { by: by() }, vouchered(), retired()]);
    assert_eq!(refused(&approved, certified()), "enrol-after-voucher");
    let back = step(&approved, asked(Verdict::Ask), NOW).unwrap().device;
    assert_eq!((back.state, back.approval), (State::AwaitingApproval, None));
}

#[test]
fn only_the_last_reports_are_kept() {
    let mut device = after(&all_the_way());
    for _ in 0..100 {
        device = step(&device, report(ReportKind::Voucher, false, None), NOW).unwrap().device;
    }
    assert_eq!(device.reports.len(), 8);
}

#[test]
fn a_step_is_recorded_and_logged_together() {
    let step = step(&seen(), asked(Verdict::Permit), NOW).unwrap();
    let changes = step.changes(Some(Version(4))).unwrap().into_vec();
    assert!(matches!(&changes[0], Change::Put { expect: Expect::At(Version(4)), .. }));
    let Change::Append { log, entry } = &changes[1] else { panic!("{changes:?}") };
    assert_eq!(*log, LOG);
    let entry: serde_json::Value = serde_json::from_str(entry).unwrap();
    assert_eq!(
        (&entry["from"], &entry["to"], &entry["event"]),
        (&"seen".into(), &"authorized".into(), &"asked".into())
    );
    let new = step.changes(None).unwrap().into_vec();
    assert!(matches!(&new[0], Change::Put { expect: Expect::Absent, .. }));
}

#[test]
fn a_record_reads_back() {
    let device = after(&[&all_the_way()[..], &[history(Verdict::Permit, vec![])]].concat());
    assert_eq!(serde_json::from_str::<DomainDevice>(&serde_json::to_string(&device).unwrap()).unwrap(), device);
}

fn any_event() -> impl Strategy<Value = DeviceEvent> {
    let verdict = prop_oneof![Just(Verdict::Permit), Just(Verdict::Deny), Just(Verdict::Ask)];
    prop_oneof![
        verdict.clone().prop_map(asked),
        verdict.prop_map(|verdict| history(verdict, vec![])),
        Just(DeviceEvent::Approved { by: by() }),
        Just(DeviceEvent::Rejected { by: by() }),
        Just(DeviceEvent::Reinstated { by: by() }),
        Just(vouchered()),
        Just(certified()),
        Just(configured()),
        Just(deleted()),
        Just(connected()),
        Just(revoked()),
        Just(retired()),
    ]
}

#[test]
fn a_device_is_configured_without_a_voucher() {
    let configured_device = after(&[asked(Verdict::Permit), configured()]);
    assert_eq!(configured_device.state, State::Enrolled);
    let joined = step(&configured_device, report(ReportKind::Connection, true, None), NOW).unwrap().device;
    assert_eq!(joined.state, State::Connected);
    let lost = step(&configured_device, report(ReportKind::Connection, false, None), NOW).unwrap();
    assert_eq!(lost.device.state, State::Enrolled);
    assert!(matches!(lost.effects.as_slice(), [Effect::Alert(_)]));
    // That there was nothing for it is told of one that may come in, and nothing else.
    let permitted = after(&[asked(Verdict::Permit)]);
    let unconfigured = step(&permitted, report(ReportKind::Configuration, false, None), NOW).unwrap().device;
    assert_eq!((unconfigured.state, unconfigured.reports.len()), (State::Authorized, 1));
    assert_eq!(refused(&permitted, report(ReportKind::Configuration, true, None)), "device-vouchered");
    assert_eq!(refused(&permitted, report(ReportKind::Connection, false, None)), "device-vouchered");
    assert_eq!(refused(&seen(), report(ReportKind::Configuration, false, None)), "device-vouchered");
    // Not before it was permitted, and not once it was refused or thrown out.
    assert_eq!(refused(&seen(), configured()), "device-authorized");
    for events in [[asked(Verdict::Deny), asked(Verdict::Ask)], [asked(Verdict::Permit), revoked()]] {
        assert_eq!(refused(&after(&events), configured()), "device-authorized");
    }
}

#[test]
fn credentials_are_deleted_and_the_device_may_come_again() {
    let inside = after(&[asked(Verdict::Permit), configured()]);
    let deleted_device = step(&inside, deleted(), NOW).unwrap();
    assert_eq!((deleted_device.device.state, &deleted_device.device.configuration), (State::Seen, &None));
    assert!(matches!(deleted_device.effects.as_slice(), [Effect::RevokeCertificates { .. }]));
    assert_eq!(refused(&deleted_device.device, deleted()), "device-inside");
    let again = after(&[asked(Verdict::Permit), configured(), deleted(), asked(Verdict::Permit), configured()]);
    assert_eq!(again.state, State::Enrolled);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order, nobody is certified without a permission, then a voucher, since the last time
    /// that it was kept out.
    #[test]
    fn no_certificate_without_permission_and_voucher(events in prop::collection::vec(any_event(), 0..40)) {
        let (mut device, mut permitted, mut has_voucher) = (seen(), false, false);
        for event in events {
            let Ok(step) = step(&device, event.clone(), NOW) else { continue };
            match &event {
                DeviceEvent::Asked { decision } => {
                    (permitted, has_voucher) = (decision.permits(), false);
                }
                DeviceEvent::HistoryRead { decision, .. } => {
                    permitted = decision.permits();
                    has_voucher &= permitted;
                }
                DeviceEvent::Approved { .. } => permitted = true,
                DeviceEvent::Rejected { .. } | DeviceEvent::Revoked { .. } | DeviceEvent::Retired { .. } => {
                    (permitted, has_voucher) = (false, false);
                }
                DeviceEvent::Vouchered { .. } => {
                    prop_assert!(permitted);
                    has_voucher = true;
                }
                // A device that was configured by Wi-Fi Easy Connect is inside without a voucher.
                DeviceEvent::Configured { .. } => {
                    prop_assert!(permitted);
                    has_voucher = true;
                }
                DeviceEvent::Deleted { .. } => (permitted, has_voucher) = (false, false),
                DeviceEvent::Certified { .. } => prop_assert!(permitted && has_voucher),
                DeviceEvent::Reported { .. } | DeviceEvent::Reinstated { .. } => {}
            }
            device = step.device;
        }
    }
}
