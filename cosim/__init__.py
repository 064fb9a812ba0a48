"""From hardware to measurement: programs, golden results, benches, simulators, records, calibration."""
