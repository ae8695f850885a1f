"""How fast and how good, on the machine at hand: `python -m tests.benchmarks [NAME ...]`, or `make bench` for all.

Times on shared machines are noise by themselves, so each benchmark measures something bare beside the product.
"""
