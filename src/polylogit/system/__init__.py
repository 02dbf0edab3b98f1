"""What polylogit needs of the operating system, the processor and Python itself: one small module for each."""
