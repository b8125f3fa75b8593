"""Every parser of foreign bytes under a fuzzer, and what the fuzzer has found worth keeping, as tests."""
