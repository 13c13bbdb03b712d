"""The compiler: a captured step becomes one program, simplified and run by one of two backends."""
