"""What a person sees: lines, the live board, tables, errors."""
