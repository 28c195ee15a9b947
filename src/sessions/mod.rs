//! The living room: sessions that people opened, each a task that owns one connection to one host. Reaches the vault
//! only through custody, and never sees a secret but to pass on what a person types for a prompt of the host.

mod arrears;
mod ask;
mod chosen;
mod errand;
mod exec;
mod forward;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod hall;
mod hops;
mod jump;
mod learn;
mod listens;
mod live;
mod open;
mod registry;
mod remote;
mod run;
mod second;
mod unlock;
mod upkeep;

pub use arrears::Arrears;
pub use chosen::{Back, Chosen};
pub use errand::{Errand, NotOpened, Site, SudoGiven, errand, on_live};
pub use exec::{ExecChannel, ExecHeard, ExecInput};
pub use gate::{Barred, Gates, REFUSALS_MAX};
pub use hall::{Arrival, Seat, Seats};
pub use jump::{Jumps, Landing};
pub use open::{Rooms, Visit, open};
pub use registry::{Entrance, Live, LiveConnection, Place, Registry};
pub use remote::{Asks, Request};
#[cfg(test)]
pub(crate) use run::turn_away;
pub use run::{Piece, Run, RunEnd, is_granted};
pub use second::{CodeNeed, CodeVerdict, code_given, code_needed};
pub use unlock::{Answered, Comer, Visiting, asks_first, open_with, visiting};
pub use upkeep::{Site as UpkeepSite, Step, StepFault, StepName, Steps, Upkeep, act, upkeep};
