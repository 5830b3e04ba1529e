"""HTML reports: the page of a result, and the pieces that all pages share."""
