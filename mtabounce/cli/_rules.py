"""The rules and header names that commands judge by: the configuration's, where there is one."""

import os
from importlib import import_module
from pathlib import Path

from mtabounce.classify import Classifier, load
from mtabounce.pipeline.judge import Judge
from mtabounce.places import is_configured


def judge_for(config: Path | None, folder: Path | None = None) -> Judge:
    """
    Return the judge that the configuration describes; *folder* replaces its own rules.

    Raises ConfigError where the configuration, or a rule, is wrong.
    """
    if not is_configured(config, os.environ):
        return Judge(load(folder))
    # The settings of all parts, and pydantic with them, take 250 ms to import.
    settings = import_module("mtabounce.settings").load_settings(config)
    known = import_module("mtabounce.assembly").judging(settings)
    rules = load(folder or settings.rules.folder, settings.rules.types)
    return Judge(rules, known.names, known.providers)


def classifier_for(config: Path | None, folder: Path | None = None) -> Classifier:
    """Return the classifier of the same. Raises ConfigError likewise."""
    return judge_for(config, folder).classifier
