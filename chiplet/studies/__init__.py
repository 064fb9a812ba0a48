"""Studies made of many projections, and published results to compare them with."""
