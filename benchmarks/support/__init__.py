"""What benchmarks share: a programme of constant rate, and servers as processes of their own."""
