"""How much of a table one statement, one page or one call may take: every bound in one place."""

from __future__ import annotations

from typing import Final

# Rows of one INSERT or UPDATE
MAX_BATCH: Final = 500
# Rows read together by what goes through a whole list
MAX_READ_BATCH: Final = 2000
# Conditions of one statement: databases bound them
MAX_CONDITIONS: Final = 100
# Beyond that an exact number is of no use, and counting it costs
MAX_COUNT: Final = 10_000
# Rows that one page of a filter without an index may read, and matches of an index that are looked
# at whole; both are measured by `python -m benchmarks.console`
MAX_SCANNED: Final = 25_000
MAX_INDEXED: Final = 10_000
# Delegations of which a preview counts the tokens, and those that one call of the API revokes
MAX_PREVIEWED: Final = 1000
MAX_REVOKED: Final = 200
