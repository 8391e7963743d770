//! Fuzz bodies for every parser that the network reaches, and their corpora.
