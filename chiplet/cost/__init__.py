"""Area, yield and manufacturing cost of dies and packages."""
