//! Arguments to settings, subcommands, exit codes, tables and progress bars.
