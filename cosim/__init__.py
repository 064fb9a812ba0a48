"""The bridge from hardware to measurement: golden numerics, scheduler, benches, backends, calibration."""
