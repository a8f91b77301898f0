"""How data_parallel.py starts itself on several ranks, and what each of them measures."""
