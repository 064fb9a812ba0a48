"""Families of language models: how each writes its ``config.json``."""
