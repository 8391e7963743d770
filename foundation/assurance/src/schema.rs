//! The schema that policies are held against: made of the kinds of facts, so that neither can change without the other.

use crate::fact::{Kind, Shape};
use std::fmt::Write;

/// The schema, in Cedar's own notation.
pub fn schema() -> String {
    let mut facts = String::new();
    for kind in Kind::ALL {
        let shape = match kind.shape() {
            Shape::Bool => "Bool",
            Shape::Number => "Long",
            Shape::Text => "String",
            Shape::List => "Set<String>",
        };
        let _ = writeln!(facts, "  {}?: {shape},", kind.attribute());
    }
    format!(
        "// What is known of the device. What is missing, or has expired, is not there.\n\
         type Facts = {{\n{facts}\
         \x20 // What its whole background comes to, from 0 to 5.\n  tier: Long,\n\
         \x20 // What spoke against it within the last 90 days, by name.\n  marks: Set<String>,\n\
         \x20 // How it stands now; of a device that wants to join, \"blocked\".\n  level: String,\n}};\n\
         entity Device;\n\
         // full is in limited, that in remediation, that in quarantine.\n\
         entity Level in [Level];\n\
         // Something that not every device that is inside may do.\n\
         entity Operation;\n\
         action join, stay appliesTo {{ principal: Device, resource: Level, context: Facts }};\n\
         action operate appliesTo {{ principal: Device, resource: Operation, context: Facts }};\n"
    )
}
