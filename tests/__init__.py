"""What we promise, tested: by kind, one folder each."""
