"""End-to-end tests: the face, the engine and real workers.

A package, so that workers import its adapters as ``pool.adapters`` and nothing of pytest.
"""
