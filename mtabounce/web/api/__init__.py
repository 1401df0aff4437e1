"""
The API under ``/api/v1``: one module for each family of paths.

A module declares one ``ROUTER``, whose paths show an answer and say in one line what they do. A
list comes in pages, each with the cursor of the next; an error is ``{"message": …}``, one line.
Who may do what is asked before anything of a body is read.
"""

from mtabounce.web.api._application import make
from mtabounce.web.api._parts import Parts

__all__ = ["Parts", "make"]
