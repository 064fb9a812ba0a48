"""The best way to train a model, out of methods, switches, meshes and uses of packages, by what a step takes."""
