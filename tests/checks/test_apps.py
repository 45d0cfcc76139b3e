"""What has to be right before the app can start at all."""

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from delegation_app import clock

pytestmark = pytest.mark.any_database


@pytest.mark.parametrize(
    "value",
    [
        5,
        [5],
        "constraints",
        "no.such.Constraint",
        "delegation_app.conf.Missing",
        "delegation_app.conf.Conf",
        # Its TYPE is taken by another class
        "tests.checks.test_apps.Taken",
    ],
)
def test_app_when_a_constraint_can_not_be_used_then_the_setting_is_named(configure, value):
    configure(CONSTRAINTS=value)

    with pytest.raises(ImproperlyConfigured, match='DELEGATION\\["CONSTRAINTS"\\]'):
        apps.get_app_config("delegation_app").ready()


class Taken:
    TYPE = "max_uses"


def test_clock_when_times_have_no_zone_then_it_says_what_to_set(settings):
    settings.USE_TZ = False

    with pytest.raises(ImproperlyConfigured, match="USE_TZ = True"):
        clock.now()
