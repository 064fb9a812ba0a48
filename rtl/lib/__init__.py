"""Parts that every unit uses: queues, delays, SRAM, CRC, round-robin."""
