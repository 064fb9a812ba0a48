"""The compute die, put together from its units."""
