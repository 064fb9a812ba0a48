"""The compute die."""
