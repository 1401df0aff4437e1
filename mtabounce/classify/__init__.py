"""
From a report to a verdict: which of the rules fits, and what that means.

The rules are data (``mtabounce/rules/*.toml``); this package loads, checks and indexes them.
"""

from mtabounce.classify.classifier import Classifier, load, load_operators

__all__ = ["Classifier", "load", "load_operators"]
