//! The binary: arguments → cli → exit status. Nothing else happens here.

fn main() {}
