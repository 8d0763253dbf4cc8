"""Faults of a machine's everyday life, injected for real, and what they do to a pool.

A module here has one function a fault, which returns measured figures. `test_rows.py` calls it with
a small count, `benches/soak.py` with the full one: what is tested is what is measured.
"""
