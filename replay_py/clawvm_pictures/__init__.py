"""Pictures as SVG and self-contained HTML pages, made with the standard library alone."""
