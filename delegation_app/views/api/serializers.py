"""Shapes that both interfaces use."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from delegation_app.views.api.fields import StrictDateTimeField, StrictTextField

MOST: int = 100


class StrictSerializer(serializers.Serializer[Any]):
    """Something that is told, or read."""


class DelegationError(StrictSerializer):
    """Why a request was refused."""

    error = serializers.CharField(help_text="A stable code.")
    error_description = serializers.CharField(help_text="A sentence for people.")


class DelegationsEnded(StrictSerializer):
    """What a deed ended."""

    ended = serializers.IntegerField(
        help_text="How many delegations ended now; 0 if all of it had ended already."
    )


class TokenCountsSerializer(StrictSerializer):
    """What a revocation would stop."""

    access_tokens = serializers.IntegerField()
    refresh_tokens = serializers.IntegerField()
    offline_until = StrictDateTimeField(
        allow_null=True,
        help_text="Until then a service that never asks here may go by a token; null for none.",
    )


class Reason(StrictSerializer):
    """Why; it is kept with the record."""

    reason = StrictTextField(max_length=255)


class MaybeReason(StrictSerializer):
    """Why, if somebody wants to say so; it is kept with the record."""

    reason = StrictTextField(max_length=255, required=False, allow_blank=True, default="")
