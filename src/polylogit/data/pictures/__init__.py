"""Pictures: reading files and named data sets, pixels in memory or on disk, and their normalisation."""
