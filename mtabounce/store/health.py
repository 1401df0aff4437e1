"""Whether the database can do its work now: not only answer, but write."""

from mtabounce.store.statements import statements

PROBE = statements("health")["probe"]  # raises where it cannot, as a source would find out
