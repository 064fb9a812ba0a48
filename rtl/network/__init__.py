"""Routers, link adapters and packets of the network-on-package."""
