"""What synthesis says of a design: its blocks in cells of a library, their area, and the clock they allow."""
