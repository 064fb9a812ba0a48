"""What a run shows of itself: traces and waveforms."""
