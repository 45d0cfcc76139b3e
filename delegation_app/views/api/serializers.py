"""Serializers of both APIs."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from delegation_app.views.api.fields import StrictDateTimeField, StrictTextField

MOST: int = 100


class StrictSerializer(serializers.Serializer[Any]):
    """The base class of all request and response bodies."""


class DelegationError(StrictSerializer):
    """The error of a refused request."""

    error = serializers.CharField(help_text="A stable code.")
    error_description = serializers.CharField(help_text="The reason, in a sentence.")


class DelegationsEnded(StrictSerializer):
    """The number of ended delegations."""

    ended = serializers.IntegerField(
        help_text="How many delegations ended now; 0 if all had ended already."
    )


class TokenCountsSerializer(StrictSerializer):
    """The tokens that a revocation invalidates."""

    access_tokens = serializers.IntegerField()
    refresh_tokens = serializers.IntegerField()
    offline_until = StrictDateTimeField(
        allow_null=True,
        help_text="Until when an offline verifier may accept a token; null for none.",
    )


class Reason(StrictSerializer):
    """A required reason, which is stored with the record."""

    reason = StrictTextField(max_length=255)


class MaybeReason(StrictSerializer):
    """An optional reason, which is stored with the record."""

    reason = StrictTextField(max_length=255, required=False, allow_blank=True, default="")
