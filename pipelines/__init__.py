"""What a person can run; the only place where the library and the referee meet."""
