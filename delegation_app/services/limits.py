"""Bounds on what one statement, one page or one call may read or write."""

from __future__ import annotations

from typing import Final

# Rows of one INSERT or UPDATE
MAX_BATCH: Final = 500
# Rows read together by an iteration over a whole list
MAX_READ_BATCH: Final = 2000
# Conditions of one statement, which databases bound
MAX_CONDITIONS: Final = 100
# Larger exact counts are of no use, and expensive
MAX_COUNT: Final = 10_000
# Rows that one page of a filter without an index may read, and matches of an index that are read
# as a whole; both are measured by `python -m benchmarks.console`
MAX_SCANNED: Final = 25_000
MAX_INDEXED: Final = 10_000
# Delegations whose tokens a preview counts, and that one API call revokes
MAX_PREVIEWED: Final = 1000
MAX_REVOKED: Final = 200
