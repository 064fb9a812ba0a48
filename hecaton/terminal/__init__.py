"""Options, tables, messages and files that subcommands share."""
