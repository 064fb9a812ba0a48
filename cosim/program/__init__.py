"""Programs: what each die is told to do, and where its data lies."""
