//! Replays the corpora, then searches around them for a moment.

#[cfg(test)]
mod it {
    mod mutate;
    mod nonsense;
    mod replay;
}
