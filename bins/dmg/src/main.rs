//! Placeholder until its first room lands.
fn main() {}
