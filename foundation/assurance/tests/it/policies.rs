use landfall_assurance::{DEFAULT, EXAMPLES, Kind, Policies, Shape, schema};

fn problem(text: &str) -> String {
    Policies::parse(text).unwrap_err().to_string()
}

const GOOD: &str = "@id(\"one\") permit (principal, action, resource) when { context has paid && context.paid };";

#[test]
fn the_schema_has_every_kind_in_its_shape_and_nothing_else() {
    let schema = schema();
    let facts = schema.split_once("type Facts = {").unwrap().1.split_once("};").unwrap().0;
    let named: Vec<(&str, &str)> =
        facts.lines().filter_map(|line| line.trim().trim_end_matches(',').split_once("?: ")).collect();
    let expected: Vec<(String, &str)> = Kind::ALL
        .iter()
        .map(|kind| {
            let shape = match kind.shape() {
                Shape::Bool => "Bool",
                Shape::Number => "Long",
                Shape::Text => "String",
                Shape::List => "Set<String>",
            };
            (kind.attribute(), shape)
        })
        .collect();
    assert_eq!(named.len(), Kind::ALL.len());
    assert!(named.iter().zip(&expected).all(|(a, b)| (a.0, a.1) == (b.0.as_str(), b.1)));
    for kind in Kind::ALL {
        assert_eq!(Kind::named(kind.name()), Some(kind));
        assert_eq!(Kind::named(&kind.attribute()), Some(kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
    }
}

#[test]
fn those_that_come_along_fit() {
    let default = Policies::parse(DEFAULT).unwrap();
    assert_eq!(default.names().count(), 12);
    assert!(Policies::parse(EXAMPLES).unwrap().names().count() >= 15);
    assert_eq!(Policies::default().text(), DEFAULT);
}

#[test]
fn what_does_not_fit_is_refused_with_its_name_and_line() {
    Policies::parse(GOOD).unwrap();
    for (text, why) in [
        (GOOD.replace("context has paid && ", ""), "unable to guarantee safety"),
        (GOOD.replace("context.paid }", "context.paid == 5 }"), "`one`: the types Bool and Long are not compatible"),
        (
            GOOD.replace("context has paid && context.paid", "context has gaid && context.gaid"),
            "`one`: there is no context.gaid",
        ),
        (GOOD.replace("context has paid", "context has paid || context has gaid || context has paid"), "context.gaid"),
        (
            GOOD.replace("context has paid && context.paid", "context.tier > 5 && context.tier < 5 && false"),
            "impossible",
        ),
        (GOOD.replace("@id(\"one\") ", ""), "has no name"),
        (GOOD.replace("\"one\"", "\"Number One\""), "has no name"),
        (format!("{GOOD}{GOOD}"), "two policies have the name \"one\""),
        (GOOD.replace("principal,", "principal == ?principal,"), "template"),
        (GOOD.replace("permit", "\n\nallow"), "line 3"),
        (GOOD.replace("action,", "action == Action::\"steal\","), "steal"),
        (GOOD.replace("when { ", &format!("when {{ {}", "(".repeat(200))), "nested"),
        (GOOD.replace("when { ", &format!("when {{ {}", "true && ".repeat(3000))), "operators"),
        (format!("{GOOD}//{}", "x".repeat(300_000)), "256 KiB"),
    ] {
        let problem = problem(&text);
        assert!(problem.contains(why), "{why}: {problem}");
    }
}
