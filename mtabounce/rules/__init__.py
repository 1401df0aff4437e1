"""The rules of the classifier: TOML files, tried in the order of their names."""
