"""What runs on top of the package: the command line, the doctor, the comparison with peers, and the examples."""
