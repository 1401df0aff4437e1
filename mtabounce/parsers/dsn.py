"""Delivery status notifications: RFC 3464, 6522 and 6533, and what is sent under their name."""

from mtabounce.parsers import _status
from mtabounce.parsers._mail import Parser

PARSER = Parser(rank=10, read=_status.read)
