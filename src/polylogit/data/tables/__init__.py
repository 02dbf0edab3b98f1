"""Tables: reading files, column types, the audit, and the encoder that turns columns into features."""
