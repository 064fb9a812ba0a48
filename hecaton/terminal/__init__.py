"""Options, tables and messages that subcommands share."""
