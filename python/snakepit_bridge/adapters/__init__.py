"""Modules that adapters of the original Snakepit import from its examples."""
