"""How the pages of this folder become a site: `sphinx-build -W -b html docs <folder>`."""

from importlib.metadata import version as version_of

from django.conf import settings

# The reference imports what it documents. No page needs a table, so there is no database.
settings.configure(
    INSTALLED_APPS=["rest_framework", "delegation_app.resource_server"],
    DATABASES={},
    REST_FRAMEWORK={"UNAUTHENTICATED_USER": None},
    USE_TZ=True,
)

project = "django-delegation"
author = "django-delegation contributors"
version = release = version_of("django-delegation")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["examples"]
html_theme = "furo"
html_title = f"{project} {release}"

# Pages link to headings of each other as they do on the site of a repository
myst_heading_anchors = 4
# Refusals have the names of the RFCs, and a client and a resource server each have some of them
suppress_warnings = ["ref.python"]

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
# What a framework's own classes say about themselves is not repeated
autodoc_inherit_docstrings = False
napoleon_google_docstring = True
napoleon_numpy_docstring = False
