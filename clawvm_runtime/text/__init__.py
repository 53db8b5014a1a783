"""Pages from real text: kinds of content, shorter forms, pointers, token counts."""
