//! What a guest may reach and how: allowed hosts, dialling, TLS, pools.
