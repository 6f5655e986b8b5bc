//! What a service manager gives the process, and is told by it: directories, sockets, readiness, health.

mod activation;
mod directories;
mod handover;
mod notify;
mod takeover;
mod upgrade;

pub use activation::sockets;
pub use directories::ServiceDirectories;
pub use handover::HandoverError;
pub use notify::{ServiceManager, accompany, settled, until_ready};
pub use takeover::{OldProcess, Takeover, takeover};
pub use upgrade::{NewProcess, Open, UpgradeError, own_program, start_new};
