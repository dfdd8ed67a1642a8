"""HTML pages shared by all services: templates, translations, forms, security headers and static assets."""
