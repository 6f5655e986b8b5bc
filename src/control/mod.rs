//! From desired state to running apps: watch a directory, plan purely, supervise.
