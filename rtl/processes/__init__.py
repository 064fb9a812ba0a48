"""Child processes and temporary folders, none of which outlives the process that made it."""
