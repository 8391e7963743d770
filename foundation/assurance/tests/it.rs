//! Facts, and what policy makes of them.

use landfall_assurance::{Fact, Kind, Shape};
use landfall_policy::Value;
use landfall_types::Time;

#[test]
fn each_kind_has_one_name_which_is_its_name_in_files_too() {
    for kind in Kind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
    }
    let mut names: Vec<_> = Kind::ALL.map(Kind::name).to_vec();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Kind::ALL.len());
}

#[test]
fn a_value_has_the_shape_of_its_kind() {
    let of = |kind: Kind, value: Value| Fact {
        subject: "acme/1".parse().unwrap(),
        kind,
        value,
        source: "a test".into(),
        issuer: None,
        at: Time::from_unix(0),
        expires: None,
        verifier: "a test".into(),
    };
    let values = [
        (Shape::Bool, Value::Bool(true)),
        (Shape::Number, Value::Number(1)),
        (Shape::Text, Value::Text("a".into())),
        (Shape::List, Value::List(vec![])),
    ];
    for kind in Kind::ALL {
        for (shape, value) in &values {
            assert_eq!(of(kind, value.clone()).is_well_formed(), kind.shape() == *shape, "{kind}");
        }
    }
}
