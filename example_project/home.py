"""The page at the root of the site."""

from typing import Any

from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.generic import TemplateView

from delegation_app.conf import conf


@method_decorator(never_cache, name="dispatch")
class Home(TemplateView):
    """What is where."""

    template_name = "example_project/home.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the issuer, under which apps know this site."""
        return super().get_context_data(issuer=conf.issuer, **kwargs)
