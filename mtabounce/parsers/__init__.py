"""Bytes in, reports out: one module for each dialect of bounce. Pure."""
