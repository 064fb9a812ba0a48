"""Vector programs on a die: how their rows are cut, where their tensors lie, and the commands."""
