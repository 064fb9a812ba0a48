"""Distribution methods: how one layer is spread over the dies, one file a method."""
