"""Our time of a layer beside ASTRA-sim's, with each difference between the two explained."""
