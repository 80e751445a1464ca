"""The experiments that ship with the package, one commented YAML each, and the trained models."""
