"""One burst in, N subscribers out."""
