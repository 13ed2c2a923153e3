"""What a person or a program sees: a live board, plain lines, or JSON."""
