"""The sections of peers.py, a file each: who competes, and the tables."""
