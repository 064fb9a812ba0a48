"""The version of the distribution, for packaging and for records."""

VERSION = "0.1.0"
