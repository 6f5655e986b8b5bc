//! Read-only views of the status, and the few commands an operator needs, on a Unix socket.
