//! Locked app and stored content to linkable components.
