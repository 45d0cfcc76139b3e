"""Each misconfiguration has a number, and the number stays."""

from django.core.checks import run_checks

OURS = "delegation_app."
GOOD_PRAGMAS = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"


def numbers(messages):
    """The numbers of those messages that are ours."""
    return [message.id.removeprefix(OURS) for message in messages if message.id.startswith(OURS)]


def found(*, deploy=False, rows=False):
    """The numbers that are reported.

    Args:
        deploy: as `check --deploy` does.
        rows: as `check --database default` does.
    """
    databases = ["default"] if rows else None
    reported = numbers(run_checks(include_deployment_checks=deploy, databases=databases))
    # The tests count in memory, which `test_rate_limits` is about
    return [number for number in reported if number not in {"W020", "E020"}]
