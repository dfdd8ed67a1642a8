"""HTML pages shared by all services: templates, translations, forms, security headers and static assets."""

from pathlib import Path

CUSTOMER_ASSETS = Path(__file__).with_name("assets")
"""Style sheet and icon of the pages for customers."""

SHARED_TEMPLATES = Path(__file__).with_name("templates")
"""Layouts that the templates of a service may extend."""
