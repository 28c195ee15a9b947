//! Looking up whole archives, made here in the shape of OSV's.

mod distributions;
mod hostile;
mod making;
mod places;
mod size;
