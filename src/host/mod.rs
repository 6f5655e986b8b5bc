//! One module for each host interface: what it takes from the app, what it keeps for an instance, how it is linked.
