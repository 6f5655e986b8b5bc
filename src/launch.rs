//! The straight pipe from an app file to a running trigger.
