"""What a program must keep, checked before it runs: one readable line for each violation."""
