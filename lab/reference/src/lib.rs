//! The guide's reference architecture on one machine, its scenarios, and its cost.
