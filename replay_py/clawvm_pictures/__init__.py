"""Pictures as SVG and a self-contained HTML page, made with the standard library alone."""
