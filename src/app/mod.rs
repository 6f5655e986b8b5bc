//! The locked app: its types, its versions, its validation (`docs/contract/locked-app.md`).
