"""The files through which a host and its bench communicate."""
