"""What the pages of intake share: words in two languages, templates, headers, and the files beside them."""
