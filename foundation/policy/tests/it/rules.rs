use landfall_policy::{Condition, Decision, Facts, Policy, Rule, Test, Value, Verdict, decide};
use landfall_types::Time;
use std::time::Duration;

const NOW: Time = Time::from_unix(1_000);

fn known(name: &str, value: impl Into<Value>) -> Facts {
    Facts::new().with(name, value, "test", NOW)
}

fn permits(when: Condition, facts: &Facts) -> bool {
    let policy = Policy::new(vec![Rule::new("r", vec![when], Verdict::Permit)], Verdict::Deny)
        .with_set("fruit", ["apple".into(), "pear".into()]);
    decide(&policy, facts, NOW).permits()
}

fn test(test: Test, value: impl Into<Value>) -> bool {
    permits(Condition::passes("f", test), &known("f", value))
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).into()).collect()
}

#[test]
fn nothing_is_permitted_by_default() {
    let decision = decide(&Policy::default(), &known("f", "x"), NOW);
    assert_eq!(decision.verdict, Verdict::Deny);
    assert_eq!(decision.reasons[0].code, "no-rule");
}

#[test]
fn each_matcher_matches_its_kind_only() {
    assert!(permits(Condition::is("f", "a"), &known("f", "a")));
    assert!(!permits(Condition::is("f", "a"), &known("f", "A")));
    assert!(!permits(Condition::is("f", "1"), &known("f", 1)));
    assert!(!permits(Condition::is("f", true), &known("f", false)));
    assert!(test(Test::OneOf(texts(&["a", "b"])), "b"));
    assert!(!test(Test::OneOf(texts(&["a", "b"])), "c"));
    assert!(!test(Test::OneOf(texts(&["a", "b"])), texts(&["a"])));
    assert!(test(Test::NoneOf(texts(&["a"])), "b"));
    assert!(!test(Test::NoneOf(texts(&["a"])), "a"));
    assert!(test(Test::NoneOf(texts(&["a"])), texts(&["b", "c"])));
    assert!(!test(Test::NoneOf(texts(&["a"])), texts(&["b", "a"])));
    assert!(!test(Test::NoneOf(texts(&["a"])), 7));
    assert!(test(Test::InSet("fruit".into()), "pear"));
    assert!(!test(Test::InSet("fruit".into()), "leek"));
    assert!(!test(Test::InSet("fruits".into()), "pear"));
    assert!(test(Test::InSet("fruit".into()), texts(&["pear", "apple"])));
    assert!(!test(Test::InSet("fruit".into()), texts(&["pear", "leek"])));
    assert!(!test(Test::InSet("fruit".into()), texts(&[])));
    assert!(test(Test::StartsWith("AC-".into()), "AC-17"));
    assert!(!test(Test::StartsWith("AC-".into()), "BC-17"));
    assert!(test(Test::Contains("x".into()), texts(&["x", "y"])));
    assert!(!test(Test::Contains("x".into()), "x"));
    assert!(test(Test::AtLeast(3), 3));
    assert!(!test(Test::AtLeast(3), 2));
    assert!(test(Test::AtMost(3), 3));
    assert!(!test(Test::AtMost(3), 4));
    assert!(!test(Test::AtMost(3), "2"));
    assert!(test(Test::Known(true), false));
    assert!(!test(Test::Known(false), false));
}

#[test]
fn what_is_not_known_matches_no_condition() {
    let conditions = [
        Condition::is("g", false),
        Condition::passes("g", Test::NoneOf(texts(&["a"]))),
        Condition::passes("g", Test::Known(false)),
        Condition::passes("g", Test::Known(true)),
    ];
    for condition in conditions {
        assert!(!permits(condition.clone(), &known("f", "a")), "{condition:?}");
    }
}

#[test]
fn an_expired_fact_is_not_known() {
    let expires = NOW + Duration::from_secs(1);
    let facts = Facts::new().until("f", "a", "test", NOW, expires);
    let policy = Policy::new(vec![Rule::new("r", vec![Condition::is("f", "a")], Verdict::Permit)], Verdict::Deny);
    let before = decide(&policy, &facts, NOW);
    assert_eq!((before.verdict, before.next_check), (Verdict::Permit, Some(expires)));
    let after = decide(&policy, &facts, expires);
    assert_eq!(after.verdict, Verdict::Deny);
    assert_eq!(after.reasons[1].code, "fact-expired");
}

#[test]
fn the_first_rule_that_matches_decides() {
    let rules = vec![
        Rule::new("not this one", vec![Condition::is("f", "b")], Verdict::Permit),
        Rule::new("this one", vec![Condition::is("f", "a")], Verdict::Ask),
        Rule::new("too late", vec![], Verdict::Permit),
    ];
    let decision = decide(&Policy::new(rules, Verdict::Deny), &known("f", "a"), NOW);
    assert_eq!(decision.verdict, Verdict::Ask);
    assert_eq!(decision.why(), "the rule \"this one\" says ask; f is \"a\" (test)");
}

#[test]
fn a_missing_fact_is_named_if_only_it_was_missing() {
    let rule = Rule::new("r", vec![Condition::is("f", "a"), Condition::is("g", "a")], Verdict::Permit);
    let policy = Policy::new(vec![rule], Verdict::Deny);
    let codes = |decision: Decision| decision.reasons.into_iter().map(|r| r.code.into_owned()).collect::<Vec<_>>();
    assert_eq!(codes(decide(&policy, &known("f", "a"), NOW)), ["no-rule", "fact-missing"]);
    assert_eq!(codes(decide(&policy, &known("f", "b"), NOW)), ["no-rule"]);
}

#[test]
fn a_policy_reads_from_toml_and_writes_back() {
    let text = r#"
        otherwise = "ask"

        [[rules]]
        name = "ours"
        when = [{ fact = "manufacturer", is = "acme" }, { fact = "serial-number", is = { in-set = "bought" } }]
        then = "permit"
        obligations = [{ name = "vlan", value = "sensors" }]

        [sets]
        bought = ["A-1", "A-2"]
    "#;
    let policy: Policy = toml::from_str(text).unwrap();
    assert_eq!(policy.missing_sets(), Vec::<&str>::new());
    let facts = known("manufacturer", "acme").with("serial-number", "A-2", "IDevID", NOW);
    let decision = decide(&policy, &facts, NOW);
    assert_eq!(decision.verdict, Verdict::Permit);
    assert_eq!(decision.obligations[0].value, "sensors");
    assert_eq!(decide(&policy, &facts.with("serial-number", "A-3", "IDevID", NOW), NOW).verdict, Verdict::Ask);
    let again: Policy = toml::from_str(&toml::to_string(&policy).unwrap()).unwrap();
    assert_eq!(again, policy);
}

#[test]
fn mistakes_in_a_policy_are_told() {
    assert!(toml::from_str::<Policy>("otherwize = 'deny'").is_err());
    assert!(
        toml::from_str::<Policy>(
            "rules = [{ name = 'r', when = [{ fact = 'f', is = { oneof = ['a'] } }], then = 'permit' }]"
        )
        .is_err()
    );
    assert!(toml::from_str::<Policy>("rules = [{ name = 'r', when = [], then = 'allow' }]").is_err());
    let rule = Rule::new("r", vec![Condition::passes("f", Test::InSet("boght".into()))], Verdict::Permit);
    assert_eq!(Policy::new(vec![rule], Verdict::Deny).missing_sets(), ["boght"]);
}
