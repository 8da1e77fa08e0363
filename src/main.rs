//! The program `rotunda`.

fn main() {}
