//! Named tasks, and the two tokens that end them: drain, then force.
