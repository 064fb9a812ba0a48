"""Rewriters of the C++ that CXXRTL writes."""
