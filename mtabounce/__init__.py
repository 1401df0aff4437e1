"""Bounce processing for Postfix, Exim and ESPs: every failed delivery, explained, in PostgreSQL."""

__version__ = "0.1.0"
