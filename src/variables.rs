//! Templates and the values behind them (`docs/contract/locked-app.md §5`).
