"""How much work a request is, as a number that is the same on each machine."""

import sys
from collections import Counter


def calls(send):
    """How many functions, of Python and of C, it takes to get and read an answer."""
    counted = Counter()

    def count(_frame, event, _argument):
        counted[event] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        b"".join(send())
    finally:
        sys.setprofile(before)
    return counted["call"] + counted["c_call"]
