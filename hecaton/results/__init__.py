"""Results on disk: records, sweep files, and the commands that make them again."""
