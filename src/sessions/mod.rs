//! The living room: sessions that people opened, each a task that owns one connection.

mod registry;

pub use registry::{Live, Place, Registry};
