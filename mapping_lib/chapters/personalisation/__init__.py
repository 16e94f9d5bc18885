"""Chapter 4b: a new chick, country, thermometer or customer."""
