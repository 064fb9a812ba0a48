"""The network-on-package as mathematics: topologies, collective schedules and their cost."""
