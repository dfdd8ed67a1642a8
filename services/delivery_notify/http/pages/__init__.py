"""HTML pages of delivery_notify: the choice page for customers, and the page that shows a sent mail to staff."""
