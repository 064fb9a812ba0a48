"""Where tensors lie: pieces of rows in words, and buffers of the scratchpad by lifetime."""
