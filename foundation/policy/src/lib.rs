//! Decides, from facts alone, whether something may happen, and says why.
