"""One layer of a projection as input of other simulators."""
