"""Data in: tables and pictures, their sources, the audit, the split and the encoding."""
