"""Faults, put on us and on the rivals in the same way; ``fault_matrix.py`` runs them.

cells.py   what is done, and when it counts as won    rivals.py   the pools, behind one interface
hosts.py   programs that own a pool and are killed     tasks.py    what runs in workers
report.py  table, JSON, Markdown                       adapter.py  the same tasks for our workers
"""
