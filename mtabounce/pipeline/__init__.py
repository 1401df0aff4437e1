"""The one way of the data: inbox, worker, record."""
