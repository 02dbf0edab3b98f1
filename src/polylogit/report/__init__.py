"""The judgement, shown to people: on the terminal."""
