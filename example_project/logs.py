"""Logging. Needs no settings, so the settings can use it."""

from typing import Any


def to_console(level: str) -> dict[str, Any]:
    """Return the value of LOGGING.

    Args:
        level: the least severe level of our own loggers; of others, warnings are logged.
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
