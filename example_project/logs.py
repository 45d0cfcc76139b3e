"""What is logged, and where. Needs no settings, so they can use it."""

from typing import Any


def to_console(level: str) -> dict[str, Any]:
    """Return the value of LOGGING.

    Args:
        level: the least severe message of ours that is told; of others, warnings.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"},
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["console"], "level": "WARNING"},
        "loggers": {"delegation_app": {"level": level}, "example_project": {"level": level}},
    }
