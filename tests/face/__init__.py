"""Tests of the host's Python face. They need no native module: ``fake_core`` stands in for it."""
