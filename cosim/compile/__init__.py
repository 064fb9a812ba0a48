"""The compiler: the graph of a training step becomes one program for each die of a package."""
