"""Tests of the adapter SDK. They need no native module: ``fake_core`` stands in for it."""
