"""Python's collector of garbage, off from the import of this module until tests run.

What is imported and collected stays: the collector need not look at it while more comes, nor ever after.
"""

import gc

#: Objects made between two collections, 700 unless set: what JAX traces makes many that soon go by themselves.
OBJECTS = 50_000

gc.disable()


def begin():
    gc.freeze()
    gc.set_threshold(OBJECTS)
    gc.enable()
