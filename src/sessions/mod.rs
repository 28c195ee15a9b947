//! The living room: sessions that people opened, each a task that owns one connection to one host. Reaches the vault
//! only through custody, and never sees a secret but to pass on what a person types for a prompt of the host.

mod arrears;
mod ask;
mod errand;
mod exec;
mod forward;
mod gate;
mod hall;
mod hops;
mod learn;
mod listens;
mod live;
mod open;
mod registry;
mod remote;
mod run;
mod unlock;
mod upkeep;

pub use arrears::Arrears;
pub use errand::{Errand, NotOpened, Site, SudoGiven, errand, on_live};
pub use exec::{ExecChannel, ExecHeard, ExecInput};
pub use gate::{Barred, Gates, REFUSALS_MAX};
pub use hall::{Arrival, Seat, Seats};
pub use open::{Rooms, Visit, open};
pub use registry::{Entrance, Live, LiveConnection, Place, Registry};
pub use remote::{Asks, Request};
pub use run::{Piece, Run, RunEnd, is_granted};
pub use unlock::{Answered, Comer, Visiting, asks_first, open_with, visiting};
pub use upkeep::{Site as UpkeepSite, Step, StepName, Steps, Upkeep, act, upkeep};
