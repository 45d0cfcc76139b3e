"""Request parameters after the specifications: decoded strictly, each at most once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Final, Self
from urllib.parse import parse_qsl

from delegation_app.protocol.errors import InvalidRequest
from delegation_app.protocol.secrets import masked

# The longest legitimate request carries a few tokens of some KiB each.
MAX_LENGTH: Final = 64 * 1024
MAX_FIELDS: Final = 100

# RFC 8707 section 2, RFC 8693 section 2.1: only these may be repeated
REPEATABLE: Final = frozenset({"resource", "audience"})

# Each narrows a request or changes its meaning or its party. RFC 6749 section 3.2 lets an endpoint
# ignore unrecognised parameters, but then it would issue something that was not requested
MEANINGFUL: Final = frozenset(
    {
        "actor_token", "actor_token_type", "audience", "authorization_details", "constraints",
        "dpop_jkt", "id_token_hint", "request", "request_uri", "requested_actor",
        "requested_token_type", "resource", "scope", "subject_token", "subject_token_type",
    }
)  # fmt: skip
_INSTEAD: Final = {"audience": " Name the resource server in the parameter resource."}


class Parameters:
    """Name and value pairs of one request. Empty values count as absent.

    Args:
        pairs: decoded names and values in the order in which they were sent.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        # RFC 6749 section 3.1: a parameter without a value is treated as omitted
        self._pairs = tuple((name, value) for name, value in pairs if value)

    @classmethod
    def parse(cls, encoded: bytes | str) -> Self:
        """Decode `application/x-www-form-urlencoded` text.

        Raises:
            InvalidRequest: too long, not UTF-8, or with a NUL in it.
        """
        return cls(decode(encoded))

    def __contains__(self, name: str) -> bool:
        """Return whether `name` has a value."""
        return any(name == sent for sent, _ in self._pairs)

    @property
    def is_ascii(self) -> bool:
        """Whether all names and values are ASCII."""
        return all(name.isascii() and value.isascii() for name, value in self._pairs)

    def get(self, name: str) -> str | None:
        """Return the one value of `name`, or None.

        Raises:
            InvalidRequest: `name` was sent more than once (RFC 6749 section 3.1).
        """
        values = self.all(name)
        if len(values) > 1:
            raise InvalidRequest(f"The parameter {name} was sent more than once.")
        return values[0] if values else None

    def require(self, name: str) -> str:
        """Return the one value of `name`.

        Raises:
            InvalidRequest: `name` is missing or was sent more than once.
        """
        value = self.get(name)
        if value is None:
            raise InvalidRequest(f"The parameter {name} is missing.")
        return value

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of `name` in the order sent."""
        return tuple(value for sent, value in self._pairs if sent == name)

    def only(self, declared: Collection[str]) -> Parameters:
        """Return the declared parameters without the others."""
        return Parameters((name, value) for name, value in self._pairs if name in declared)

    def refuse_unsupported(
        self, declared: Collection[str], unsupported: Collection[str] = MEANINGFUL
    ) -> None:
        """Raise the error of `unsupported`, if any.

        Raises:
            InvalidRequest: an undeclared parameter must not be ignored.
        """
        if (refusal := self.unsupported(declared, unsupported)) is not None:
            raise refusal

    def unsupported(
        self, declared: Collection[str], unsupported: Collection[str] = MEANINGFUL
    ) -> InvalidRequest | None:
        """Return the error for an undeclared parameter that must not be ignored, or None.

        Args:
            declared: the parameters that the endpoint or the grant reads.
            unsupported: the parameters that must not be ignored.
        """
        for name, _value in self._pairs:
            if name in unsupported and name not in declared:
                instead = _INSTEAD.get(name, "")
                return InvalidRequest(f"The parameter {name} is not supported here.{instead}")
        return None

    def refuse_repeats(self) -> None:
        """Raise the error of `repeated`, if any.

        Raises:
            InvalidRequest: RFC 6749 sections 3.1 and 3.2.
        """
        if (refusal := self.repeated()) is not None:
            raise refusal

    def repeated(self) -> InvalidRequest | None:
        """Return the error for a repeated parameter, or None."""
        for name, count in Counter(name for name, _ in self._pairs).items():
            if count > 1 and name not in REPEATABLE:
                return InvalidRequest(
                    "A parameter was sent more than once.", detail=masked(name)[:40]
                )
        return None


def decode(encoded: bytes | str) -> list[tuple[str, str]]:
    """Return the names and values of form-encoded text, in the order in which they were sent.

    Raises:
        InvalidRequest: too long, not UTF-8, or with a NUL in it.
    """
    if len(encoded) > MAX_LENGTH:
        raise InvalidRequest(f"The request is longer than {MAX_LENGTH} bytes.")
    # RFC 6749 appendix B: names and values are UTF-8
    try:
        octets = encoded if isinstance(encoded, bytes) else encoded.encode("ascii")
        pairs = parse_qsl(
            octets.decode("ascii"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except UnicodeError as error:
        raise InvalidRequest("The request is not form-encoded UTF-8.") from error
    except ValueError as error:
        raise InvalidRequest(f"The request has more than {MAX_FIELDS} parameters.") from error
    if any("\x00" in name or "\x00" in value for name, value in pairs):
        raise InvalidRequest("The request contains a NUL character.")
    return pairs
